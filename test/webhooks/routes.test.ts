import { beforeAll, describe, expect, test } from 'vitest'
import type { Delivery, DeliveryPage, IssuedWebhookEndpoint } from '../../schema/http/webhook.ts'
import { MOST_ENDPOINTS } from '../../src/webhooks/endpoint-table.ts'
import { insertDeliveries } from '../../src/webhooks/new-deliveries.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { NOWHERE, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const ON = { AUTH: 'on', ADMIN_TOKEN, WEBHOOK_ALLOW_PRIVATE: true }
const URL = 'https://127.0.0.1:1/hook'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
type Call = (method: Method, path: string, payload?: object) => ReturnType<TestApp['call']>

let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', ON)
  return () => api.close()
})

/** Makes a key, and returns a function that calls /webhook-endpoints with it. */
async function caller(tenant: string, scopes = ['webhooks']): Promise<Call> {
  const made = await api.call({
    method: 'POST',
    url: '/admin/keys',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    payload: { name: tenant, tenant, scopes }
  })
  const headers = { authorization: `Bearer ${made.json().key}` }
  return (method, path, payload) =>
    api.call({ method, url: `/webhook-endpoints${path}`, headers, ...(payload && { payload }) })
}

const create = async (call: Call, body: object = {}) => {
  const answer = await call('POST', '', { url: URL, ...body })
  expect(answer.statusCode, answer.body).toBe(201)
  return answer.json<IssuedWebhookEndpoint>()
}

/** Adds `count` deliveries to the log of an endpoint, one a minute, in a state. */
const addDeliveries = async (endpoint_id: string, count: number, status = 'failed') => {
  const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString()
  const deliveries = Array.from({ length: count }, (_, n) => ({
    endpoint_id,
    message_id: `order-${n}:completed`,
    type: 'order.completed',
    occurred_at: at(n),
    payload: '{}'
  }))
  await insertDeliveries(api.app.stores.orders, deliveries)
  await space.sql('UPDATE webhook_deliveries SET status = ?, attempts = 3 WHERE endpoint_id = ?', [
    status,
    endpoint_id
  ])
}

describe('a webhook endpoint', () => {
  test('is created with a secret that no later answer shows', async () => {
    const call = await caller('shows')
    const answer = await call('POST', '', { url: URL })
    const { secret, ...endpoint } = answer.json<IssuedWebhookEndpoint>()
    expect(answer.headers.location).toBe(`/webhook-endpoints/${endpoint.id}`)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(endpoint).toMatchObject({ url: URL, events: null, enabled: true, failures: 0, parked_until: null })
    const read = await call('GET', `/${endpoint.id}`)
    expect(read.json()).toEqual(endpoint)
    expect((await call('GET', '')).json()).toEqual({ endpoints: [endpoint] })
  })

  test('is changed, disabled, enabled and deleted', async () => {
    const call = await caller('changes')
    const { id } = await create(call, { events: ['order.failed'] })
    const change = async (body: object) => (await call('PATCH', `/${id}`, body)).json()
    expect(await change({ url: `${URL}/2` })).toMatchObject({ url: `${URL}/2`, events: ['order.failed'] })
    expect(await change({ events: null })).toMatchObject({ url: `${URL}/2`, events: null })
    expect(await change({ enabled: false })).toMatchObject({ enabled: false, disabled_reason: 'requested' })
    expect(await change({ enabled: true })).toMatchObject({ enabled: true, disabled_reason: null })
    expect((await call('PATCH', `/${id}`, {})).statusCode).toBe(400)
    expect((await call('DELETE', `/${id}`)).json()).toMatchObject({ id })
    for (const method of ['GET', 'DELETE'] as const)
      expect((await call(method, `/${id}`)).json().type).toMatch(/:webhook-endpoint-not-found$/)
    expect((await call('GET', '')).json()).toEqual({ endpoints: [] })
  })

  test('has another secret after a rotation, and the one before for a while', async () => {
    const call = await caller('rotates')
    const first = await create(call)
    const rotated = (await call('POST', `/${first.id}/rotate`)).json<IssuedWebhookEndpoint>()
    expect(rotated.secret).not.toBe(first.secret)
    const left = Date.parse(rotated.previous_secret_until ?? '') - Date.now()
    expect(left).toBeGreaterThan(86_000_000)
    expect(left).toBeLessThan(86_400_001)
    const atOnce = (await call('POST', `/${first.id}/rotate?keep_seconds=0`)).json()
    expect(atOnce.previous_secret_until).toBeNull()
  })

  test('belongs to one tenant, and needs the scope webhooks', async () => {
    const [acme, beta] = [await caller('acme'), await caller('beta')]
    const { id } = await create(acme)
    await addDeliveries(id, 1)
    const [delivery] = (await acme('GET', `/${id}/deliveries`)).json<DeliveryPage>().deliveries
    const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
    const requests: [Method, string, object?][] = [
      ['GET', `/${id}`],
      ['PATCH', `/${id}`, { enabled: false }],
      ['DELETE', `/${id}`],
      ['POST', `/${id}/rotate`],
      ['POST', `/${id}/test`],
      ['GET', `/${id}/deliveries`],
      ['POST', `/${id}/deliveries/${delivery?.id}/redeliver`],
      ['POST', `/${id}/redeliver`, range]
    ]
    const reader = await caller('acme', ['orders:read', 'orders:write'])
    for (const request of [...requests, ['POST', '', { url: URL }] as [Method, string, object]])
      expect((await reader(...request)).statusCode, request.join()).toBe(403)
    for (const request of requests) expect((await beta(...request)).statusCode, request.join()).toBe(404)
    expect((await beta('GET', '')).json()).toEqual({ endpoints: [] })
    expect((await acme('GET', `/${id}`)).json()).toMatchObject({ enabled: true, previous_secret_until: null })
    const other = await create(beta)
    const crossed = await beta('POST', `/${other.id}/deliveries/${delivery?.id}/redeliver`)
    expect(crossed.json().type).toMatch(/:webhook-delivery-not-found$/)
  })

  test('is refused when the tenant has too many', async () => {
    const call = await caller('many')
    for (let n = 0; n < MOST_ENDPOINTS; n++) await create(call)
    expect((await call('POST', '', { url: URL })).json().type).toMatch(/:too-many-webhook-endpoints$/)
  })

  test('is refused for a URL that is not public, in creation and change', async () => {
    const strict = await useApp(space, 'api', { AUTH: 'off' })
    const post = (url: string) => strict.call({ method: 'POST', url: '/webhook-endpoints', payload: { url } })
    for (const url of [
      'https://127.0.0.1/',
      'https://[::1]/',
      'https://169.254.169.254/latest/meta-data',
      'https://0xa9fea9fe/',
      'http://8.8.8.8/',
      'https://user@8.8.8.8/',
      'no-url'
    ])
      expect((await post(url)).json(), url).toMatchObject({
        status: 400,
        type: 'urn:orderstream:problem:webhook-endpoint-refused'
      })
    const made = await post('https://8.8.8.8/hook')
    expect(made.statusCode).toBe(201)
    const { id } = made.json()
    const changed = await strict.call({
      method: 'PATCH',
      url: `/webhook-endpoints/${id}`,
      payload: { url: 'https://10.0.0.1/' }
    })
    expect(changed.json()).toMatchObject({ type: 'urn:orderstream:problem:webhook-endpoint-refused' })
    await strict.call({ method: 'DELETE', url: `/webhook-endpoints/${id}` })
  })

  test('is refused while Redis is unavailable, because an event could be missed', async () => {
    const without = await useApp(space, 'api', { ...ON, AUTH: 'off', REDIS_PORT: NOWHERE })
    const answer = await without.call({ method: 'POST', url: '/webhook-endpoints', payload: { url: URL } })
    expect(answer.statusCode).toBe(503)
  })
})

describe('the log of deliveries', () => {
  test('is read page by page, with and without a state', async () => {
    const call = await caller('pages')
    const { id } = await create(call)
    await addDeliveries(id, 25, 'delivered')
    await space.sql("UPDATE webhook_deliveries SET status = 'dropped' WHERE endpoint_id = ? AND id % 2 = 0", [
      id
    ])
    const walk = async (query: string) => {
      const found: Delivery[] = []
      for (let cursor = ''; ; ) {
        const page = await call('GET', `/${id}/deliveries?limit=10${query}${cursor}`)
        const { deliveries, next } = page.json<DeliveryPage>()
        found.push(...deliveries)
        if (next === null) return found
        cursor = `&cursor=${next}`
      }
    }
    const all = await walk('')
    expect(all.map(({ webhook_id }) => webhook_id)).toEqual(
      Array.from({ length: 25 }, (_, n) => `order-${24 - n}:completed`)
    )
    const [delivered, dropped] = [await walk('&status=delivered'), await walk('&status=dropped')]
    expect(delivered.length + dropped.length).toBe(25)
    expect(new Set(delivered.map(({ status }) => status))).toEqual(new Set(['delivered']))
    expect((await call('GET', `/${id}/deliveries?cursor=999999999999999-1`)).statusCode).toBe(200)
  })

  test('lets one delivery wait again, in any state', async () => {
    const call = await caller('again')
    const { id } = await create(call)
    await addDeliveries(id, 1, 'delivered')
    const [before] = (await call('GET', `/${id}/deliveries`)).json<DeliveryPage>().deliveries
    const answer = await call('POST', `/${id}/deliveries/${before?.id}/redeliver`)
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toMatchObject({ webhook_id: before?.webhook_id, status: 'waiting', attempts: 0 })
  })

  test('lets the failed and dropped deliveries of a range wait again, or those of the named states', async () => {
    const call = await caller('ranges')
    const { id } = await create(call)
    await addDeliveries(id, 20)
    await space.sql(
      "UPDATE webhook_deliveries SET status = 'delivered' WHERE endpoint_id = ? AND id % 2 = 0",
      [id]
    )
    const range = { from: '2026-01-01T00:05:00Z', to: '2026-01-01T01:15:00+01:00' }
    const redeliver = async (body: object) => (await call('POST', `/${id}/redeliver`, body)).json()
    const waiting = async () => {
      const rows = await space.sql<{ n: string }>(
        "SELECT message_id AS n FROM webhook_deliveries WHERE endpoint_id = ? AND status = 'waiting' ORDER BY occurred_at",
        [id]
      )
      return rows.map(({ n }) => Number(/\d+/.exec(n)))
    }
    expect(await redeliver(range)).toEqual({ redelivered: 5, next: null })
    expect((await waiting()).every((n, _, all) => n >= 5 && n < 15 && n % 2 === (all[0] ?? 0) % 2)).toBe(true)
    expect(await redeliver({ ...range, status: ['delivered'] })).toEqual({ redelivered: 5, next: null })
    expect(await waiting()).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
  })

  test('redelivers a large range in several requests', async () => {
    const call = await caller('large')
    const { id } = await create(call)
    await addDeliveries(id, 10_500)
    const range = { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' }
    const first = (await call('POST', `/${id}/redeliver`, range)).json()
    expect(first.redelivered).toBe(10_000)
    const second = (await call('POST', `/${id}/redeliver`, { ...range, cursor: first.next })).json()
    expect(second).toEqual({ redelivered: 500, next: null })
  })
})
