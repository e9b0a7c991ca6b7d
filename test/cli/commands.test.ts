import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useOtherPrefix, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'

const main = join(import.meta.dirname, '../../cli/main.ts')
const run = (...args: string[]) => runWith({ ADMIN_TOKEN }, ...args)
const runWith = (env: Record<string, string>, ...args: string[]) =>
  new Promise<{ code: unknown; out: string; err: string }>(resolve => {
    execFile(
      process.execPath,
      [main, ...args],
      { env: { PATH: process.env.PATH, ...env } },
      (error, out, err) => {
        resolve({ code: error?.code ?? 0, out, err })
      }
    )
  })

test('npm run admin does what the routes do', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN, KEY_PREFIX: await useOtherPrefix(space, 'cli') })
  await app.listen({ port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as { port: number }).port}`
  const fields = [
    'id',
    '7-0',
    'code',
    'exhausted',
    'message',
    'no luck',
    'attempts',
    '8',
    'first_at',
    '1',
    'last_at',
    '2',
    'taken',
    '0'
  ]
  for (let n = 0; n < 3; n++) await space.redis.xadd(app.keys.dead('process-orders', 0), '*', ...fields)
  expect((await run('audit', '--url', url)).out).toMatch(/^difference +0$/m)
  const acknowledge = ['audit', 'acknowledge', '--reason', 'a failover', '--url', url]
  expect(await run(...acknowledge)).toEqual({ code: 1, out: '', err: 'There is no loss to acknowledge.\n' })
  const lost = ['00000001.lost', 0, 3]
  await space.sql('INSERT INTO accepted_epochs (epoch, partition_no, highest) VALUES (?)', [lost])
  expect((await run(...acknowledge)).out).toBe('3 lost orders acknowledged.\n')
  const listed = await run('dead-letters', 'list', '--url', url, '--json')
  const [first, second, third] = JSON.parse(listed.out).dead_letters
  const page = (await run('dead-letters', 'list', '--limit', '2', '--url', url)).out
  expect(page).toMatch(new RegExp(`\nMore: --after ${second.id}\n$`))
  const next = (await run('dead-letters', 'list', '--after', second.id, '--url', url)).out
  expect([next.includes(second.id), next.includes(third.id)]).toEqual([false, true])
  expect((await run('dead-letters', 'list', '--url', url)).out).toContain(`${first.id}  exhausted`)
  expect(JSON.parse((await run('dead-letters', 'show', first.id, '--url', url)).out)).toEqual(first)
  expect((await run('dead-letters', 'discard', first.id, '--reason', 'x', '--url', url)).out).toBe(
    '1 discarded.\n'
  )
  expect((await run('dead-letters', 'redrive', second.id, '--url', url)).out).toBe(
    '1 sent back to process-orders.\n'
  )
  expect((await run('dead-letters', 'redrive', '--all', '--rate', '0', '--url', url)).err).toContain(
    '\n/rate must be >= 0.01\n'
  )
  expect((await run('dead-letters', 'redrive', '--all', '--rate', '1000', '--url', url)).out).toBe(
    '1 sent back to process-orders.\n'
  )
  expect((await run('dead-letters', 'list', '--url', url)).out).toBe('process-orders has no dead letters.\n')
})

test('npm run admin sets and lists tax rates', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const taxRates = (...args: string[]) => run('tax-rates', ...args, '--url', url)
  expect((await taxRates('list')).out).toBe('No region has a tax rate.\n')
  expect((await taxRates('set', 'DE', '0.19', '--from', '2026-01-01T00:00:00Z')).out).toBe(
    'The rate of DE is 0.19 from 2026-01-01T00:00:00.000Z on.\n'
  )
  expect(await taxRates('set', 'DE', '0.2', '--from', '2026-02-01T00:00:00Z')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^DE has a rate already\. Another one can begin at /)
  })
  await taxRates('set', 'DE', '0.2', '--from', '2090-01-01T00:00:00Z')
  expect((await taxRates('list')).out).toBe(
    [
      'region  rate  from                      to',
      'DE      0.19  2026-01-01T00:00:00.000Z  2090-01-01T00:00:00.000Z',
      'DE      0.2   2090-01-01T00:00:00.000Z  -\n'
    ].join('\n')
  )
  expect(JSON.parse((await taxRates('list', '--json')).out).tax_rates).toHaveLength(2)
  expect((await taxRates('set', 'DE')).err).toBe('Name the region and its rate, such as DE 0.19.\n')
  expect((await taxRates('set', 'DE', '19')).err).toMatch(/^The body does not match its schema\.\n\/rate /)
})

test('npm run admin creates, lists, rotates and revokes API keys', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const keys = (...args: string[]) => run('keys', ...args, '--url', url)
  expect((await keys('list')).out).toBe('There is no API key.\n')
  const until = '2090-01-01T00:00:00.000Z'
  const made = await keys(
    'create',
    '--name',
    'till',
    '--scopes',
    'orders:read, admin:read',
    '--expires',
    until
  )
  const [, id = '', key = ''] = /^The key (\w+) is valid\. .*\n(os_\S+)\n$/.exec(made.out) ?? []
  expect((await run('audit', '--url', url, '--token', key)).out).toMatch(/^accepted /m)
  expect(await run('audit', 'acknowledge', '--reason', 'x', '--url', url, '--token', key)).toMatchObject({
    code: 1,
    err: 'The key lacks the scope admin. Use a key that has it.\n'
  })
  expect((await keys('rotate', id)).out).toMatch(/^The key \w+ has a new secret\. /)
  expect((await keys('list')).out).toContain(
    `till  default  orders:read,admin:read  valid, 2 secrets  ${until}  `
  )
  expect((await keys('revoke', id)).out).toMatch(/^The key \w+ is revoked since 20/)
  expect((await keys('list')).out).toContain('  revoked  ')
  expect((await keys('rotate', id)).err).toBe(`The key ${id} is revoked: create another one.\n`)
  expect((await keys('revoke', '0123456789abcdef')).err).toBe('There is no key 0123456789abcdef.\n')
  expect((await keys('create', '--name', 'till')).err).toMatch(
    /^Set the --name and the --scopes of the key, /
  )
  expect((await keys('create', '--name', 'till', '--scopes', 'all')).err).toMatch(/\n\/scopes\/0 /)
})

test('npm run admin names missing arguments, settings and services', async () => {
  expect(await run('dead-letters', 'redrive')).toEqual({
    code: 1,
    out: '',
    err: 'Name the dead letters to redrive, or use --all.\n'
  })
  expect((await run('audit', 'acknowledge')).err).toBe('Describe the loss with --reason.\n')
  const needed = 'Name the dead letters to discard, and the --reason.\n'
  expect((await run('dead-letters', 'discard', '0:1-0')).err).toBe(needed)
  const { app } = await useApp(space, 'api')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  expect((await run('audit', '--url', url)).err).toBe(
    'The api serves no /admin routes: start it with ADMIN_TOKEN, or with AUTH=on.\n'
  )
  expect((await run('audit', '--url', 'http://127.0.0.1:1')).err).toBe(
    'Nothing answers at http://127.0.0.1:1. Set the URL of the api with --url.\n'
  )
  expect((await run('nonsense')).code).toBe(2)
  expect(await run('dead-letters', 'list', 'send-receipt')).toEqual({
    code: 1,
    out: '',
    err: 'send-receipt is not an argument of this command: --function names a function.\n'
  })
})

test('npm run admin fails when it changes nothing, and names the missing dead letters', async () => {
  const { app } = await useApp(space, 'api', {
    ADMIN_TOKEN,
    MAX_EVENT_LOOP_DELAY_MS: 0,
    KEY_PREFIX: await useOtherPrefix(space, 'none')
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const deadLetters = (action: string, ...more: string[]) =>
    run('dead-letters', action, '--url', url, ...more)
  const because = ['--reason', 'x']
  const neither = 'process-orders has no dead letter 0:1-0, 7:2-0.\n'
  expect(await deadLetters('redrive', '0:1-0', '7:2-0')).toEqual({ code: 1, out: '', err: neither })
  expect(await deadLetters('discard', '0:1-0', '7:2-0', ...because)).toEqual({
    code: 1,
    out: '',
    err: neither
  })
  expect(await deadLetters('redrive', '--all')).toEqual({
    code: 1,
    out: '',
    err: 'process-orders has no dead letters.\n'
  })
  const asData = await deadLetters('discard', '0:1-0', ...because, '--json')
  expect([asData.code, JSON.parse(asData.out)]).toEqual([1, { count: 0, missing: ['0:1-0'] }])
  await space.redis.xadd(
    app.keys.dead('process-orders', 0),
    '1-0',
    'id',
    '7-0',
    'first_at',
    '1',
    'last_at',
    '2'
  )
  expect(await deadLetters('discard', '0:1-0', '0:2-0', ...because)).toEqual({
    code: 0,
    out: '1 discarded.\nprocess-orders has no dead letter 0:2-0.\n',
    err: ''
  })
})

test('npm run admin explains a missing or wrong token', async () => {
  expect(await runWith({}, 'audit')).toEqual({
    code: 1,
    out: '',
    err: 'No token: set ADMIN_TOKEN to the value that the api has (export ADMIN_TOKEN=…), or use --token with it or an API key.\n'
  })
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  expect(await run('audit', '--url', url, '--token', 'another-token-than-that')).toEqual({
    code: 1,
    out: '',
    err: 'The api refuses the token: it has another ADMIN_TOKEN, and no such API key. Set the right one, or use --token.\n'
  })
})

test.each(['localhost:3000', '127.0.0.1:3000', '', 'ftp://localhost'])(
  'npm run admin rejects the URL "%s"',
  async url => {
    expect(await run('audit', '--url', url)).toEqual({
      code: 1,
      out: '',
      err: `${JSON.stringify(url)} is not a URL of an api: --url takes a URL such as http://127.0.0.1:3000.\n`
    })
  }
)

test('npm run admin recognises another service and an invalid token', async () => {
  const other = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => {
    other.close()
  })
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  expect((await run('audit', '--url', url)).err).toBe(`The server at ${url} is not an Orderstream api.\n`)
  expect((await run('audit', '--url', url, '--token', 'geheim für alle')).err).toMatch(
    /^The token begins or ends/
  )
})
