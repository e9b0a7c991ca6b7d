import type { LightMyRequestResponse } from 'fastify'
import { expect, test } from 'vitest'
import type { AdminActionPage } from '../../schema/http/admin-action.ts'
import type { IssuedKey, KeyPage } from '../../schema/http/key.ts'
import { problemType } from '../../schema/http/problem-types.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const ON = { AUTH: 'on', ADMIN_TOKEN }

const NEW_KEY = { name: 'shop', scopes: ['orders:read'] }

interface Request {
  key?: string
  token?: string
  method?: 'GET' | 'POST'
  body?: object
}

const admin = (
  { call }: TestApp,
  url: string,
  { key, token = ADMIN_TOKEN, method = 'POST', body }: Request = {}
): Promise<LightMyRequestResponse> =>
  call({
    method,
    url: `/admin${url}`,
    headers: {
      authorization: `Bearer ${token}`,
      ...(key !== undefined && { 'idempotency-key': key })
    },
    ...(body && { payload: body })
  })
const keysOf = async (app: TestApp) =>
  (await admin(app, '/keys', { method: 'GET' })).json<KeyPage>().keys.map(({ id }) => id)
const typeOf = (answer: LightMyRequestResponse) => [answer.statusCode, answer.json().type]

test('a repeated request gets the first answer from every process, and runs once', async () => {
  const first = await useApp(space, 'api', ON)
  const second = await useApp(space, 'api', ON)
  const made = await admin(first, '/keys', { key: '"one"', body: NEW_KEY })
  expect(made.statusCode).toBe(201)
  expect(made.headers).not.toHaveProperty('idempotent-replayed')
  const { key: _, ...withoutKey } = made.json<IssuedKey>()
  const before = await keysOf(first)
  // Without quotes it is the same key, and the order of the fields makes no difference.
  const body = { scopes: NEW_KEY.scopes, name: NEW_KEY.name }
  for (const app of [first, second]) {
    const again = await admin(app, '/keys', { key: 'one', body })
    expect(again.statusCode).toBe(201)
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect(again.headers['content-type']).toBe(made.headers['content-type'])
    expect(again.json()).toEqual(withoutKey)
  }
  expect(await keysOf(first)).toEqual(before)
})

test('a made key and a rotated key are nowhere in the table, and a lost one can be rotated', async () => {
  const app = await useApp(space, 'api', ON)
  const made = (await admin(app, '/keys', { key: 'made', body: NEW_KEY })).json<IssuedKey>()
  const rotate = (key: string) => admin(app, `/keys/${made.id}/rotate`, { key })
  const rotated = (await rotate('rotated')).json<IssuedKey>()
  const replayed = await rotate('rotated')
  expect(replayed.headers['idempotent-replayed']).toBe('true')
  expect(replayed.json()).toEqual({ ...rotated, key: undefined })
  const rows = JSON.stringify(await space.sql('SELECT * FROM idempotency_keys'))
  expect(rows).toContain(made.id)
  for (const { key } of [made, rotated]) {
    expect(key).toMatch(/^os_[0-9a-f]{16}_[\w-]{43}$/)
    expect(rows).not.toContain(key.slice(-43))
  }
  const { key } = (await rotate('after-the-loss')).json<IssuedKey>()
  expect(
    (await app.call({ url: '/orders/none', headers: { authorization: `Bearer ${key}` } })).statusCode
  ).toBe(404)
})

test('a key with another body, query, path or route is refused', async () => {
  const app = await useApp(space, 'api', ON)
  const { id } = (await admin(app, '/keys', { key: 'used', body: NEW_KEY })).json<IssuedKey>()
  await admin(app, `/keys/${id}/rotate?keep_seconds=5`, { key: 'used-in-a-path' })
  const requests: [string, Request][] = [
    ['/keys', { key: 'used', body: { ...NEW_KEY, name: 'other' } }],
    ['/dead-letters/redrive', { key: 'used', body: { function: 'process-orders' } }],
    [`/keys/${id}/rotate?keep_seconds=6`, { key: 'used-in-a-path' }],
    ['/keys/0123456789abcdef/rotate?keep_seconds=5', { key: 'used-in-a-path' }]
  ]
  for (const [url, request] of requests)
    expect(typeOf(await admin(app, url, request))).toEqual([422, problemType('idempotency-key-reused')])
})

test('a refusal of the handler is repeated, and a request that its schema refuses leaves its key free', async () => {
  const app = await useApp(space, 'api', ON)
  const lost = { body: { reason: 'a test' }, key: 'refused' }
  const refused = await admin(app, '/audit/acknowledge', lost)
  expect(typeOf(refused)).toEqual([409, problemType('no-loss')])
  const again = await admin(app, '/audit/acknowledge', lost)
  expect(again.headers['idempotent-replayed']).toBe('true')
  expect(again.body).toBe(refused.body)
  expect((await admin(app, '/keys', { key: 'free', body: {} })).statusCode).toBe(400)
  expect((await admin(app, '/keys', { key: 'free', body: NEW_KEY })).statusCode).toBe(201)
})

test('an invalid key is refused before anything runs', async () => {
  const app = await useApp(space, 'api', ON)
  const before = await keysOf(app)
  for (const key of ['', '""', 'a b', 'x'.repeat(256)]) {
    const answer = await admin(app, '/keys', { key, body: NEW_KEY })
    expect(typeOf(answer)).toEqual([400, problemType('invalid-idempotency-key')])
  }
  expect(await keysOf(app)).toEqual(before)
})

test('the log of admin actions has an action once, and not its replays', async () => {
  const app = await useApp(space, 'api', ON)
  const request = { key: 'logged', body: { ...NEW_KEY, name: 'logged', reason: 'once' } }
  for (let i = 0; i < 3; i++) expect((await admin(app, '/keys', request)).statusCode).toBe(201)
  const { actions } = (await admin(app, '/actions', { method: 'GET' })).json<AdminActionPage>()
  expect(actions.filter(({ reason }) => reason === 'once')).toHaveLength(1)
})

test('callers do not see the answers of each other, and neither do tenants', async () => {
  const app = await useApp(space, 'api', ON, app => {
    const config = { scope: 'orders:write', idempotencyKey: true } as const
    app.post('/who', { config, schema: { hide: true } }, async ({ caller }) => ({ caller: caller.id }))
  })
  const keyOf = async (tenant: string) =>
    (
      await admin(app, '/keys', { body: { name: tenant, tenant, scopes: ['orders:write'] } })
    ).json<IssuedKey>().key
  const tokens = [ADMIN_TOKEN, await keyOf('default'), await keyOf('default'), await keyOf('acme')]
  const answers = []
  for (const token of [...tokens, ...tokens]) {
    const answer = await app.app.inject({
      method: 'POST',
      url: '/who',
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'the-same' }
    })
    answers.push([answer.json().caller, answer.headers['idempotent-replayed']])
  }
  const callers = answers.slice(0, tokens.length).map(([caller]) => caller)
  expect(new Set(callers).size).toBe(tokens.length)
  expect(answers).toEqual([
    ...callers.map(caller => [caller, undefined]),
    ...callers.map(caller => [caller, 'true'])
  ])
})

test('an order has its own key, so the header makes no difference there', async () => {
  const { post } = await useApp(space, 'api')
  const headers = { 'idempotency-key': 'an order' }
  expect((await post({ order_id: 'one', amount: 1 }, headers)).statusCode).toBe(202)
  expect((await post({ order_id: 'two', amount: 1 }, headers)).statusCode).toBe(202)
})
