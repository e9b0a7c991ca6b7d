import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useSpace } from '../space.ts'

const space = await useSpace()
const main = join(import.meta.dirname, '../../src/main.ts')

/** Runs `main.ts` to its end. */
const run = (env: Record<string, string>) =>
  new Promise<{ code: unknown; output: string }>(resolve => {
    execFile(
      process.execPath,
      [main],
      { env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, output: stdout + stderr })
      }
    )
  })

test('a wrong configuration ends the start with every fault', async () => {
  const { code, output } = await run({ PORT: 'x', TAX_RATE: '7' })
  expect(code).toBe(1)
  expect(output).toContain('The configuration has 3 faults')
  expect(output).toMatch(/MODE .*\n.*PORT .*\n.*TAX_RATE /)
  expect(output).not.toContain('    at ')
})

test('a taken port is one sentence', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const { code, output } = await run({ ...space.env, MODE: 'api', LOG_LEVEL: 'silent', PORT: String(port) })
  server.close()
  expect(code).toBe(1)
  expect(output.trim()).toBe(`Port ${port} is in use by another process. Set PORT to a free one.`)
})
