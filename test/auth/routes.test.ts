import type { InjectOptions } from 'fastify'
import { describe, expect, test } from 'vitest'
import type { IssuedKey } from '../../schema/http/key.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const SCOPES = ['orders:write', 'orders:read', 'webhooks', 'admin:read', 'admin']
const OPEN = ['/health', '/health/live', '/health/ready', '/metrics', '/openapi.json']

interface Operation {
  security?: Record<string, string[]>[]
  'x-scope'?: string
  responses: Record<string, unknown>
}

/** Returns every operation of the OpenAPI document as a request, with the scopes that it asks for. */
function operationsOf(document: object) {
  const { paths } = document as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security, 'x-scope': scope, responses }]) => ({
      path,
      method: method.toUpperCase() as 'GET',
      // A query that each list takes, and ids that each route takes.
      url: path.replaceAll(/\{\w+\}/g, '0123456789abcdef'),
      scopes: scope === undefined ? [] : [scope],
      optional: (security ?? []).some(each => Object.keys(each).length === 0),
      responses
    }))
  )
}

describe('with AUTH=on', () => {
  // A release of the keys alone waits for more than 20 seconds.
  test('each route that needs a scope refuses every caller without that scope, as the OpenAPI document says', {
    timeout: 60_000
  }, async () => {
    const { app, call } = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
    const operations = operationsOf(app.swagger())
    expect(operations.length).toBeGreaterThan(20)
    const key = async (scopes: string[], fields: object = {}) => {
      const made = await call({
        method: 'POST',
        url: '/admin/keys',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        payload: { name: 'walk', scopes, ...fields }
      })
      return made.json<IssuedKey>()
    }
    const expired = await key(SCOPES, { expires_at: new Date(Date.now() + 500).toISOString() })
    const revoked = await key(SCOPES)
    await call({
      method: 'DELETE',
      url: `/admin/keys/${revoked.id}`,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` }
    })
    const status = async (request: InjectOptions, token?: string) =>
      (await call({ ...request, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }))
        .statusCode
    await until('the key has expired', async () => (await status({ url: '/orders/a' }, expired.key)) === 401)
    const invalid = [
      undefined,
      'a-token-for-other-tests',
      `os_0123456789abcdef_${'x'.repeat(43)}`,
      `${revoked.key.slice(0, -1)}_`,
      revoked.key,
      expired.key
    ]
    for (const { method, url, path, scopes, responses } of operations) {
      if (scopes.length === 0) {
        expect(OPEN).toContain(path)
        continue
      }
      const where = `${method} ${path}`
      expect(scopes, where).toHaveLength(1)
      expect(Object.keys(responses), where).toEqual(expect.arrayContaining(['401', '403']))
      for (const token of invalid) expect([where, await status({ method, url }, token)]).toEqual([where, 401])
      const others = await key(SCOPES.filter(scope => scope !== scopes[0]))
      expect([where, await status({ method, url }, others.key)]).toEqual([where, 403])
      const own = await key(scopes)
      // The answer to a GET of a stream would not end.
      const asked = path === '/order-events' ? 'HEAD' : method
      expect([401, 403]).not.toContain(await status({ method: asked, url }, own.key))
    }
    expect(operations.filter(({ scopes }) => scopes.length === 0).map(({ path }) => path)).toEqual(OPEN)
  })

  test('health, metrics and the description need no key, also on a worker', async () => {
    const api = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
    const worker = await useApp(space, 'worker', { AUTH: 'on' })
    for (const { app } of [api, worker])
      for (const url of [...OPEN, '/docs/'])
        expect([url, (await app.inject(url)).statusCode]).toEqual([url, 200])
  })

  test('a path without a route is 404 without a key', async () => {
    const { call } = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
    expect((await call('/no/such/route')).statusCode).toBe(404)
  })
})

describe('with AUTH=off', () => {
  test('every caller may write and read orders, and only the ADMIN_TOKEN or a key opens /admin', async () => {
    const { app, call, post } = await useApp(space, 'api', { ADMIN_TOKEN })
    expect((await post({ order_id: 'open', amount: 1 })).statusCode).toBe(202)
    for (const { method, url, scopes, optional } of operationsOf(app.swagger())) {
      const admin = scopes.some(scope => scope.startsWith('admin'))
      expect(optional).toBe(scopes.length > 0 && !admin)
      if (admin) expect((await call({ method, url })).statusCode).toBe(401)
    }
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    expect((await call({ url: '/admin/keys', headers })).statusCode).toBe(200)
  })

  test('there are no routes under /admin without an ADMIN_TOKEN', async () => {
    const { call } = await useApp(space, 'api')
    expect((await call('/admin/keys')).statusCode).toBe(404)
  })
})

test('a route without a scope fails the start, with the remedy', async () => {
  const start = useApp(space, 'api', {}, app => {
    app.get('/mine', async () => 'mine')
  })
  await expect(start).rejects.toThrow(
    "The route GET /mine declares no scope. Add `config: { scope: 'orders:read' }` to it, or `{ scope: 'none' }` if every caller may use it."
  )
})
