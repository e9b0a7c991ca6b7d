import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { commandsOf, read, readPages } from './pages.ts'

const space = await useSpace()
const root = join(import.meta.dirname, '../..')
const ADMIN_TOKEN = 'a-token-for-the-tests'

/** Pages whose commands are run, apart from docs/functions.md, which has a test of its own. */
const pages = (await readPages()).filter(({ path }) => /^(README\.md|docs\/(?!functions).+\.md)$/.test(path))
const commands = [...new Set(pages.flatMap(({ text }) => commandsOf(text)))]
const adminCommands = commands.filter(command => /^npm run admin -- [a-z]/.test(command))

/** Commands that another test runs: the file of the test, and the text in the file that runs the command. */
const RUN_ELSEWHERE: [command: RegExp, file: string, evidence: string | RegExp][] = [
  [/^npm start$/, 'test/tools/local/odd-folder.test.ts', "run('npm', ['start']"],
  [/^npm start -- --fresh$/, 'test/tools/local/start.test.ts', "'--fresh'"],
  [/^npm test$/, '.ci/run', 'npm test'],
  [/^npm run chaos/, '.ci/run', 'npm run chaos -- --minutes'],
  [/^npm run bench$/, '.ci/run', 'npm run bench -- --check'],
  [/^docker compose up --build$/, 'test/smoke/compose.test.ts', "up('--build')"],
  [/^docker compose up --build --detach --scale worker=2$/, 'test/smoke/compose.test.ts', "'worker=2'"],
  [/^curl /, 'test/smoke/compose.test.ts', /await examples\(\)/],
  [/^node cli\/main\.ts$/, 'test/cli/commands.test.ts', 'cli/main.ts']
]

/** The output of the admin commands. */
const PRINTED: [command: RegExp, output: RegExp][] = [
  [/ audit$/, /^difference +-?\d+$/m],
  [/ audit acknowledge /, /^3 lost orders acknowledged\.$/m],
  [/ dead-letters list$/, /^0:1769860800000-0 +exhausted/m],
  [/ dead-letters show /, /"id": "0:1769860800000-0"/],
  [/ dead-letters redrive /, /^1 sent back to process-orders\.$/m],
  [/ dead-letters discard /, /^1 discarded\.$/m],
  [/ functions forget /, /^send-receipt is forgotten/m],
  [/ redis release\b/, /^The keys of KEY_PREFIX=\S+ and REDIS_CLUSTER=false are released\. /m],
  [/ tax-rates set /, /^The rate of DE is 0\.(19|2) from 20/m],
  [/ tax-rates list$/, /^DE +0\.2 +2090-01-01T00:00:00\.000Z +-$/m],
  [/ keys create /, /^The key [0-9a-f]{16} is valid\. .*\nos_[0-9a-f]{16}_[\w-]{43}$/m],
  [/ keys list$/, /^[0-9a-f]{16} +shop +default +orders:write,orders:read +valid +- +-$/m],
  [/ keys rotate /, /^The key 3f9c2a7b10d4e856 has a new secret\. /m],
  [/ keys revoke /, /^The key 3f9c2a7b10d4e856 is revoked since 20/m],
  [/ actions list$/, /^20\S+ +admin-token +revokeKey +200 +the shop has moved +\{"id":"3f9c2a7b10d4e856"\}$/m]
]

test('a test runs every command of the README and of docs', async () => {
  expect(commands.length).toBeGreaterThan(10)
  const unknown: string[] = []
  for (const command of commands) {
    if (adminCommands.includes(command)) continue
    const [, file, evidence] = RUN_ELSEWHERE.find(([pattern]) => pattern.test(command)) ?? []
    if (file === undefined || evidence === undefined) unknown.push(command)
    else expect(await read(file), `${file} runs ${command}`).toMatch(evidence)
  }
  expect(unknown).toEqual([])
  for (const [pattern] of RUN_ELSEWHERE)
    expect(
      commands.some(command => pattern.test(command)),
      `${pattern}`
    ).toBe(true)
})

test('the smoke test runs every curl line', () => {
  const withCurl = pages.filter(({ text }) => commandsOf(text).some(command => command.startsWith('curl ')))
  expect(withCurl.map(({ path }) => path)).toEqual(['README.md'])
})

test('every admin command does what its page states', { timeout: 180_000 }, async () => {
  expect(adminCommands.length).toBeGreaterThan(5)
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN, STORE_TIMEOUT_MS: 1000 })
  const ORDERSTREAM_URL = await app.listen({ port: 0, host: '127.0.0.1' })
  await until('the tables exist', () => app.stores.orders.availability.up)
  const { keys } = app
  const deadLetter = [
    'id',
    '7-0',
    'v',
    '1',
    'data',
    '{}',
    'code',
    'exhausted',
    'first_at',
    '1',
    'last_at',
    '2'
  ]
  await space.sql('INSERT INTO accepted_epochs (epoch, partition_no, highest) VALUES (?)', [
    ['00000001.lost', 0, 3]
  ])
  await space.redis.xgroup('CREATE', keys.stream('events', 0), 'send-receipt', '$', 'MKSTREAM')

  await space.sql('INSERT INTO api_keys (id, name, tenant, scopes, created_at) VALUES (?)', [
    ['3f9c2a7b10d4e856', 'of the page', 'default', 'orders:read', '2026-01-01']
  ])

  // After the release, the api does not use Redis any more.
  const isRelease = (command: string) => / redis release\b/.test(command)
  const ordered = adminCommands.toSorted((a, b) => Number(isRelease(a)) - Number(isRelease(b)))
  for (const command of ordered) {
    // Discarding and redriving remove the dead letter that the next command needs.
    await space.redis.del(keys.dead('process-orders', 0))
    await space.redis.xadd(keys.dead('process-orders', 0), '1769860800000-0', ...deadLetter)
    if (isRelease(command))
      await space.redis.del(keys.dead('process-orders', 0), keys.retry('process-orders', 0))
    const { stdout } = await promisify(execFile)('sh', ['-c', command], {
      cwd: root,
      env: { ...process.env, ADMIN_TOKEN, ORDERSTREAM_URL }
    })
    const [, printed = /nothing/] = PRINTED.find(([pattern]) => pattern.test(command)) ?? []
    expect(stdout, command).toMatch(printed)
  }
})

test('every npm command of CONTRIBUTING.md is a script', async () => {
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> }
  const named = [...(await read('CONTRIBUTING.md')).matchAll(/`npm (?:run )?([a-z]+)/g)].map(
    ([, name = '']) => name
  )
  expect([...new Set(named)].filter(name => !(name in scripts))).toEqual([])
  const own = Object.keys(scripts).filter(name => !/^pre/.test(name))
  expect(own.filter(name => !named.includes(name))).toEqual([])
})
