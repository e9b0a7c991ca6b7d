import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const main = join(import.meta.dirname, '../../src/main.ts')

/** Runs `main.ts` until it ends. */
const run = (env: Record<string, string>, entry = main) =>
  new Promise<{ code: unknown; output: string }>(resolve => {
    execFile(
      process.execPath,
      [entry],
      { env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, output: stdout + stderr })
      }
    )
  })

test('a start with a wrong configuration fails and names every fault', async () => {
  const { code, output } = await run({ PORT: 'x', TAX_RATE: '7' })
  expect(code).toBe(1)
  expect(output).toContain('The configuration has 3 faults')
  expect(output).toMatch(/MODE .*\n.*PORT .*\n.*TAX_RATE /)
  expect(output).not.toContain('    at ')
})

test('a start on a port in use fails with one sentence', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const { code, output } = await run({ ...space.env, MODE: 'api', LOG_LEVEL: 'silent', PORT: String(port) })
  server.close()
  expect(code).toBe(1)
  expect(output.trim()).toBe(`Port ${port} is in use by another process. Set PORT to a free one.`)
})

test('a start on an address of another machine fails with one sentence', async () => {
  const { code, output } = await run({ ...space.env, MODE: 'api', LOG_LEVEL: 'silent', HOST: '192.0.2.1' })
  expect(code).toBe(1)
  expect(output).toMatch(/^Nothing can listen there \(listen EADDRNOTAVAIL.*Set HOST.*\n$/)
})

test('a start with an invalid function fails and names the function and every fault, without a stack', async () => {
  const root = await mkdtemp(join(tmpdir(), 'orderstream-start-'))
  onTestFinished(() => rm(root, { recursive: true }))
  for (const part of ['src', 'plugins', 'handlers', 'schema', 'migrations', 'package.json'])
    await cp(join(main, '../..', part), join(root, part), { recursive: true })
  await symlink(join(main, '../../node_modules'), join(root, 'node_modules'))
  const valid = `name: 'wrong-one', stream: 'events', schema: { type: 'object' }, handler: async () => {}`
  const settings = `{ ${valid}, concurrency: 0, timeout: 0 }`
  await writeFile(
    join(root, 'handlers/worker/wrong-one.ts'),
    `export default async (app: any) => app.consume(${settings})`
  )
  const env = { ...space.env, MODE: 'worker', LOG_LEVEL: 'silent' }
  const { code, output } = await run(env, join(root, 'src/main.ts'))
  expect(code).toBe(1)
  expect(output).toMatch(
    /^\S*handlers\/worker\/wrong-one\.ts:1 cannot be registered: app\.consume cannot take the function "wrong-one":\n {2}- concurrency .*\n {2}- timeout .*\n$/
  )
})

/** Makes a process resolve localhost to two addresses, as a machine with IPv6 does. */
const TWO_ADDRESSES = `
import dns from 'node:dns'
const { lookup } = dns
const both = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 }))
dns.lookup = (host, options, done) =>
  host === 'localhost' && options.all ? done(null, both) : lookup(host, options, done)`

test('HOST=localhost opens one server, which handles every connection', async () => {
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(TWO_ADDRESSES)}`
  const { lines } = await startService(space, 'api', { HOST: 'localhost', NODE_OPTIONS }, 'live')
  await until('it listens', () => lines().some(({ msg }) => String(msg).startsWith('Server listening')))
  expect(lines().filter(({ msg }) => String(msg).startsWith('Server listening'))).toHaveLength(1)
})
