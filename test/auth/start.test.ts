import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { startService } from '../harness/service.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const main = join(import.meta.dirname, '../../src/main.ts')

/** Runs an api until it ends. */
const start = (env: Record<string, string>) =>
  new Promise<{ code: unknown; output: string }>(resolve => {
    const options = {
      env: { PATH: process.env.PATH, ...space.env, MODE: 'api', LOG_LEVEL: 'silent', AUTH: 'on', ...env }
    }
    execFile(process.execPath, [main], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr })
    )
  })

test('an api that nobody could use does not start, and names the remedies', async () => {
  const { code, output } = await start({})
  expect(code).toBe(1)
  expect(output).toMatch(/^AUTH is on, and .* set ADMIN_TOKEN and .* keys create .* or set AUTH=off .*\n$/)
})

test('one key is enough for an api to start without an ADMIN_TOKEN', async () => {
  const { call } = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  const payload = { name: 'first', scopes: ['orders:read'] }
  const made = await call({ method: 'POST', url: '/admin/keys', headers, payload })
  const api = await startService(space, 'api', { AUTH: 'on' })
  const answer = await fetch(`${api.url}/orders/a`, {
    headers: { authorization: `Bearer ${made.json().key}` }
  })
  expect(answer.status).toBe(404)
})

test('an api starts while MySQL is unavailable, and warns when it has no key', async () => {
  const other = { KEY_PREFIX: `${space.env.KEY_PREFIX}.other`, AUTH: 'on', DB_PORT: String(NOWHERE) }
  const api = await startService(space, 'api', other, 'live')
  expect((await fetch(`${api.url}/orders/a`)).status).toBe(401)
  await until('the log warns', () =>
    api.lines().some(({ msg }) => String(msg).startsWith('no API key is known'))
  )
})
