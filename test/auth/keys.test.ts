import { beforeAll, expect, test } from 'vitest'
import type { IssuedKey, KeyPage } from '../../schema/http/key.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const ON = { AUTH: 'on', ADMIN_TOKEN }

let app: TestApp
let other: TestApp

beforeAll(async () => {
  app = await openApp(space, 'api', ON)
  other = await openApp(space, 'api', ON)
  return () => Promise.all([app.close(), other.close()])
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const read = async ({ call }: TestApp, key: string) =>
  (await call({ url: '/orders/nobody', headers: bearer(key) })).statusCode
const admin = ({ call }: TestApp, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
  call({ method, url: `/admin/keys${url}`, headers: bearer(ADMIN_TOKEN), ...(payload && { payload }) })
const create = async (app: TestApp, fields: object = {}) => {
  const made = await admin(app, 'POST', '', { name: 'shop', scopes: ['orders:read'], ...fields })
  expect(made.statusCode).toBe(201)
  return made.json<IssuedKey>()
}

test('a key opens the routes of its scopes until it is revoked, in every process', async () => {
  expect((await app.call('/orders/nobody')).statusCode).toBe(401)
  const { id, key } = await create(app)
  expect(await read(app, key)).toBe(404)
  expect(await read(other, key)).toBe(404)
  const write = { method: 'POST', url: '/orders', payload: { order_id: 'a', amount: 1 } } as const
  const refused = await app.call({ ...write, headers: bearer(key) })
  expect(refused.statusCode).toBe(403)
  expect(refused.headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="orders:write"')

  expect((await admin(app, 'DELETE', `/${id}`)).json().revoked_at).toEqual(expect.any(String))
  expect(await read(app, key)).toBe(401)
  await until('the other process refuses the key', async () => (await read(other, key)) === 401, 10_000)
  expect((await admin(app, 'POST', `/${id}/rotate`)).statusCode).toBe(409)
})

test('no store and no log has the text of a key', async () => {
  const { id, key } = await create(app)
  await read(app, key)
  const secret = key.slice(-43)
  expect(key).toBe(`os_${id}_${secret}`)
  const rows = await space.sql('SELECT * FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id')
  const copies = []
  for (const name of await space.keys())
    if ((await space.redis.type(name)) === 'hash') copies.push(await space.redis.hgetall(name))
  const everything = JSON.stringify([rows, copies, app.log])
  expect(everything).toContain(id)
  expect(everything).not.toContain(secret)
})

test('a rotated key has two valid secrets until the previous one expires', async () => {
  const first = await create(app)
  const second = (await admin(app, 'POST', `/${first.id}/rotate?keep_seconds=60`)).json<IssuedKey>()
  expect(second).toMatchObject({ id: first.id, live_secrets: 2 })
  for (const { key } of [first, second])
    for (const each of [app, other]) expect(await read(each, key)).toBe(404)
  const third = (await admin(app, 'POST', `/${first.id}/rotate?keep_seconds=0`)).json<IssuedKey>()
  expect(third.live_secrets).toBe(1)
  expect(await read(app, third.key)).toBe(404)
  expect(await read(app, second.key)).toBe(401)
  expect(await read(app, first.key)).toBe(401)
})

test('a key is refused from the moment at which it expires', async () => {
  const { key } = await create(app, { expires_at: new Date(Date.now() + 2000).toISOString() })
  expect(await read(app, key)).toBe(404)
  await until('the key has expired', async () => (await read(app, key)) === 401)
  const late = { name: 'late', scopes: ['orders:read'], expires_at: new Date(Date.now() - 1).toISOString() }
  expect((await admin(app, 'POST', '', late)).statusCode).toBe(409)
})

test('the list has pages, the last use of each key, and no secret', async () => {
  const ids: string[] = []
  for (const name of ['one', 'two', 'three']) ids.push((await create(app, { name })).id)
  const { id, key } = await create(app, { name: 'used', rate_limit: 7 })
  await read(app, key)
  const used = await until('the use is recorded', async () => {
    const { keys } = (await admin(app, 'GET', '')).json<KeyPage>()
    return keys.find(each => each.id === id && each.last_used_at !== null)
  })
  expect(used).toEqual({
    id,
    name: 'used',
    tenant: 'default',
    scopes: ['orders:read'],
    created_at: expect.any(String),
    expires_at: null,
    revoked_at: null,
    last_used_at: expect.any(String),
    rate_limit: 7,
    live_secrets: 1
  })
  const listed: string[] = []
  let after = ''
  do {
    const page = (await admin(app, 'GET', `?limit=2&after=${after}`)).json<KeyPage>()
    listed.push(...page.keys.map(each => each.id))
    after = page.next
  } while (after !== '')
  expect(listed).toEqual([...new Set(listed)].sort())
  expect(listed).toEqual(expect.arrayContaining([...ids, id]))
})

test('admin scopes for another tenant, an invalid tenant and an unknown key are refused by the routes for keys', async () => {
  const foreign = { name: 'other', tenant: 'acme', scopes: ['orders:read', 'admin:read'] }
  for (const tenant of ['', 'Acme', 'a/b', 'a'.repeat(41)])
    expect((await admin(app, 'POST', '', { ...foreign, tenant })).statusCode).toBe(400)
  expect((await admin(app, 'POST', '', foreign)).json()).toMatchObject({
    status: 409,
    type: 'urn:orderstream:problem:key-refused'
  })
  for (const [method, url] of [
    ['POST', '/0123456789abcdef/rotate'],
    ['DELETE', '/0123456789abcdef']
  ] as const)
    expect((await admin(app, method, url)).json()).toMatchObject({
      status: 404,
      title: 'There is no such key'
    })
})

test('each key has its own limit of requests, and each answer has its quota', async () => {
  const app = await useApp(space, 'api', { ...ON, RATE_LIMIT_MAX: 0 })
  const { key } = await create(app, { rate_limit: 3 })
  const free = await create(app)
  await read(app, key)
  const [served, refused] = await until('a request is refused', async () => {
    const answers = []
    for (let i = 0; i < 5; i++) answers.push(await app.call({ url: '/orders/nobody', headers: bearer(key) }))
    const over = answers.find(({ statusCode }) => statusCode === 429)
    return over && ([answers.find(({ statusCode }) => statusCode === 404), over] as const)
  })
  expect(served?.headers['ratelimit-policy']).toBe('"caller";q=3;w=1')
  expect(served?.headers.ratelimit).toMatch(/^"caller";r=[0-2];t=1$/)
  expect(refused.headers).toMatchObject({ ratelimit: '"caller";r=0;t=1', 'retry-after': '1' })
  expect(refused.json()).toMatchObject({
    type: 'urn:orderstream:problem:quota-exceeded',
    'violated-policies': ['caller']
  })
  for (let i = 0; i < 20; i++) expect(await read(app, free.key)).toBe(404)
  await until('the next second', async () => (await read(app, key)) === 404)
})
