import { globSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import receiveDelivery from '../../examples/worker/receive-delivery.ts'
import reservePayment from '../../examples/worker/reserve-payment.ts'
import { useApp } from '../harness/app.ts'
import { useFunction } from '../harness/function.ts'
import { usePartner } from '../harness/partner.ts'
import { until } from '../harness/space.ts'
import { root, run } from '../tools/local/launcher.ts'

const guide = await readFile(join(root, 'docs/functions.md'), 'utf8')
const blocks = [...guide.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
  language,
  text
}))
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'))
const used = new Set<string>()

/** Returns the only command of the guide that begins with `start`. */
function commandOf(start: string): string {
  const [command, ...others] = commands.filter(each => each.startsWith(start))
  if (command === undefined || others.length > 0) throw new Error(`the guide has no one command ${start}`)
  used.add(command)
  return command
}

/** Removes the indentation of all lines, because the guide shows parts of files. */
const flat = (text: string) => text.trim().replaceAll(/^ +/gm, '')

test('docs/functions.md shows only code of files that are checked', async () => {
  const files = globSync(['examples/**/*.{ts,sql}', 'test/docs/snippets.ts'], { cwd: root })
  const texts = await Promise.all(files.map(async name => flat(await readFile(join(root, name), 'utf8'))))
  const code = blocks.filter(({ language }) => language !== 'sh')
  expect(code.length).toBeGreaterThan(5)
  const unknown = code.filter(({ text }) => !texts.some(file => file.includes(flat(text))))
  expect(unknown).toEqual([])
})

test('the steps of docs/functions.md turn an empty file into a function that runs', {
  timeout: 300_000
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-guide-'))
  const parts = ['src', 'plugins', 'handlers', 'schema', 'migrations', 'tools/local', 'test/harness']
  for (const part of [...parts, 'package.json', 'package-lock.json', 'vitest.config.ts'])
    await cp(join(root, part), join(dir, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  // This file is older than the dependencies, so that set-up does not install them again.
  await utimes(join(dir, 'package-lock.json'), 0, 0)
  const shell = (command: string, env: NodeJS.ProcessEnv = {}) => run('sh', ['-c', command], env, dir)
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(`The walk is kept in ${dir}`)
    else await rm(dir, { recursive: true })
  })

  const files = ['handlers/worker/flag-large-orders.ts', 'handlers/worker/flag-large-orders.test.ts']
  for (const [index, file] of files.entries()) {
    expect(guide).toContain(`\`${file}\`:\n\n\`\`\`ts\n${blocks[index]?.text}`)
    await writeFile(join(dir, file), blocks[index]?.text ?? '')
  }
  const tested = shell(commandOf('npx vitest'))
  expect(await tested.ended, tested.output()).toBe(0)
  expect(tested.output()).toMatch(/Tests .*1 passed/)

  const service = shell(`exec ${commandOf('npm start')}`, { PORT: '0', MAX_EVENT_LOOP_DELAY_MS: '0' })
  onTestFinished(async () => {
    service.child.kill('SIGTERM')
    await service.ended
  })
  const [, url = ''] = await service.prints(/API {2,}(http:\S+)[\s\S]*Ctrl-C stops/)
  const order = commandOf('curl').replace('http://localhost:3000', url)
  await until('the order is accepted', () => succeeds(shell(`${order} --fail`)), 60_000)
  const logged = commandOf('grep')
  await until('the worker logs the order', () => succeeds(shell(logged)), 60_000)
})

async function succeeds({ ended }: ReturnType<typeof run>): Promise<boolean> {
  return (await ended) === 0
}

test('the XADD line of docs/functions.md reaches a function in each partition', async () => {
  const tables = [new URL('../../examples/migrations/001.do.stock.sql', import.meta.url)]
  const fn = await useFunction(receiveDelivery, { tables, env: { STREAM_PARTITIONS: 2 } })
  const [, line = ''] = commandOf('redis-cli XADD').split('redis-cli XADD ')
  const [key = '', ...fields] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? ''
  )
  for (const partition of [0, 1]) {
    const own = key.replace('{orderstream:0}', `{${fn.space.env.KEY_PREFIX}:${partition}}`)
    const add = (from: string | RegExp, to: string) =>
      fn.space.redis.call('XADD', [own, ...fields.map(field => field.replace(from, to))])
    await add('d-1', `d-${partition}`)
    await add('"quantity":20', '"quantity":0')
  }
  await fn.settled()
  expect(await fn.space.sql('SELECT * FROM stock')).toEqual([{ item: 'parcel-box', available: 40 }])
  const invalid = { code: 'invalid', requestId: 'req-1' }
  expect(await fn.deadLetters()).toMatchObject([invalid, invalid])
})

test('the admin commands of docs/functions.md list dead letters and send them back', {
  timeout: 120_000
}, async () => {
  const ADMIN_TOKEN = 'a-token-for-tests-only'
  let status = 402
  const payments = await usePartner(() => status)
  const tables = [new URL('../../examples/migrations/002.do.unpaid-orders.sql', import.meta.url)]
  const fn = await useFunction(reservePayment, { options: { url: payments.url }, tables })
  await fn.orderCompleted('one', 100)
  await fn.settled()
  const { app } = await useApp(fn.space, 'api', { ADMIN_TOKEN })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const env = { ADMIN_TOKEN, ORDERSTREAM_URL: `http://127.0.0.1:${port}` }
  const admin = async (command: string) => {
    const program = run('sh', ['-c', command], env)
    expect(await program.ended, program.output()).toBe(0)
    return program.output()
  }
  expect(await admin(commandOf('npm run admin -- dead-letters list'))).toContain('payment-refused')
  status = 200
  await admin(commandOf('npm run admin -- dead-letters redrive'))
  await fn.settled()
  expect(await fn.deadLetters()).toEqual([])
  expect(await fn.space.sql('SELECT * FROM unpaid_orders')).toEqual([])
})

test('every command of docs/functions.md is run by a test above', () => {
  expect([...used].sort()).toEqual(commands.toSorted())
})
