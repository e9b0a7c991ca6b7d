import { beforeAll, describe, expect, test } from 'vitest'
import type { IssuedKey } from '../../schema/http/key.ts'
import type { Order } from '../../schema/http/order.ts'
import { toCandidate } from '../../src/orders/accept/candidate.ts'
import { spill } from '../../src/orders/accept/spill.ts'
import { readAudit } from '../../src/orders/audit/audit.ts'
import { PLACED } from '../../src/orders/names.ts'
import { fieldOf } from '../../src/streams/group/delivery.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const ON = { AUTH: 'on', ADMIN_TOKEN, STREAM_PARTITIONS: 3 }
const CANARY = 'canary-7f3a'

let api: TestApp
let acme: Tenant
let beta: Tenant
let main: Tenant

/** A page of a list. */
interface Page {
  orders: Order[]
  next: string
}

/** The requests of one tenant. `answers` has the bodies and headers of all answers so far. */
interface Tenant {
  key: string
  answers: string[]
  call: (method: 'GET' | 'POST', url: string, payload?: object) => ReturnType<TestApp['call']>
}

beforeAll(async () => {
  api = await openApp(space, 'api', ON)
  await until('the processes are known', async () => api.app.processes.oldestRelease() !== undefined)
  ;[acme, beta, main] = await Promise.all([tenant('acme'), tenant('beta'), tenant('default')])
  return () => api.close()
})

async function tenant(name: string): Promise<Tenant> {
  const made = await api.call({
    method: 'POST',
    url: '/admin/keys',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    payload: { name, tenant: name, scopes: ['orders:write', 'orders:read'] }
  })
  const { key } = made.json<IssuedKey>()
  const answers: string[] = []
  return {
    key,
    answers,
    call: async (method, url, payload) => {
      const headers = { authorization: `Bearer ${key}`, 'x-request-id': `${name}-${answers.length}` }
      const answer = await api.call({ method, url, headers, ...(payload && { payload }) })
      answers.push(JSON.stringify([answer.statusCode, answer.headers, answer.body]))
      return answer
    }
  }
}

const post = ({ call }: Tenant, order_id: string, amount: number, fields: object = {}) =>
  call('POST', '/orders', { order_id, amount, ...fields })
const read = async ({ call }: Tenant, id: string) => (await call('GET', `/orders/${id}`)).json()
const completed = (owner: Tenant, id: string) =>
  until(`${id} is completed`, async () => {
    const order = await read(owner, id)
    return order.status === 'completed' && order
  })
const eventsOf = async (id: string) => {
  const { keys } = api.app
  const streams = await Promise.all(
    [0, 1, 2].map(partition => space.redis.xrange(keys.stream('events', partition), '-', '+'))
  )
  const events = streams.flat().map(([, fields]) => JSON.parse(fieldOf(fields, 'data')))
  return events.filter(({ subject }) => subject === id)
}
const settled = () =>
  until('all messages are settled', async () => {
    const { keys } = api.app
    const lengths = await Promise.all([0, 1, 2].map(n => space.redis.xlen(keys.stream(PLACED, n))))
    return lengths.every(length => length === 0)
  })

describe('two tenants', () => {
  test('each have an order of the same id, with its own amount, status, document and event', async () => {
    const worker = await openApp(space, 'worker', ON)
    const tenants = [
      [acme, 100],
      [beta, 200],
      [main, 300]
    ] as const
    for (const [owner, amount] of tenants) {
      expect((await post(owner, 'same', amount)).statusCode).toBe(202)
      expect((await post(owner, 'same', amount)).statusCode).toBe(200)
      expect((await post(owner, 'same', amount + 1)).statusCode).toBe(409)
    }
    for (const [owner, amount] of tenants)
      expect(await completed(owner, 'same')).toMatchObject({ amount, total: amount * 1.18 })
    await settled()
    const rows = await space.sql("SELECT tenant, amount FROM orders WHERE order_id = 'same' ORDER BY amount")
    expect(rows).toEqual([
      { tenant: 'acme', amount: '100.0000' },
      { tenant: 'beta', amount: '200.0000' },
      { tenant: 'default', amount: '300.0000' }
    ])
    const events = await until('all events are published', async () => {
      const found = await eventsOf('same')
      return found.length === 3 && found
    })
    expect(events.map(({ id, tenant }) => [id, tenant]).sort()).toEqual([
      ['acme/same:completed', 'acme'],
      ['beta/same:completed', 'beta'],
      ['same:completed', undefined]
    ])
    // Without their documents in Redis, the orders are read from MySQL.
    for (const key of await space.keys()) if (key.includes(':doc:')) await space.redis.del(key)
    for (const [owner, amount] of tenants) expect(await read(owner, 'same')).toMatchObject({ amount })
    for (const [owner, amount] of tenants) expect((await post(owner, 'same', amount)).statusCode).toBe(200)
    await worker.close()
  })

  test('each cancel only their own order', async () => {
    await post(acme, 'cancelled', 10)
    await post(beta, 'cancelled', 10)
    await post(beta, 'only-of-beta', 10)
    expect((await acme.call('POST', '/orders/only-of-beta/cancel')).statusCode).toBe(404)
    expect((await acme.call('POST', '/orders/cancelled/cancel')).json()).toMatchObject({
      status: 'cancelled'
    })
    const worker = await openApp(space, 'worker', ON)
    await completed(beta, 'cancelled')
    await settled()
    await worker.close()
    expect(await read(acme, 'cancelled')).toMatchObject({ status: 'cancelled' })
    const { app } = api
    expect(await readAudit(app.stores.redis, app.stores.orders, app.keys)).toMatchObject({
      in_flight: 0,
      duplicates: 0,
      difference: 0
    })
  })

  test('each keep their spilled order of the same id', async () => {
    const { mysql } = api.app.stores
    const { store } = api.app.orders
    const candidates = ['acme', 'beta', 'default'].map((tenant, n) =>
      toCandidate({ order_id: 'spilled', amount: n + 1 }, '0.18', { tenant, requestId: '', traceparent: '' })
    )
    expect(await spill(mysql, store, candidates, 5000)).toEqual([undefined, undefined, undefined])
    expect((await acme.call('POST', '/orders/spilled/cancel')).json()).toMatchObject({ status: 'cancelled' })
    const worker = await openApp(space, 'worker', ON)
    expect(await completed(beta, 'spilled')).toMatchObject({ amount: 2 })
    expect(await completed(main, 'spilled')).toMatchObject({ amount: 3 })
    expect(await read(acme, 'spilled')).toMatchObject({ amount: 1, status: 'cancelled' })
    const events = await until('all events are published', async () => {
      const found = await eventsOf('spilled')
      return found.length === 3 && found
    })
    await worker.close()
    expect(events.map(({ id }) => id).sort()).toEqual([
      'acme/spilled:cancelled',
      'beta/spilled:completed',
      'spilled:completed'
    ])
  })

  test('each list only their own orders, and refuse the cursor of another tenant', async () => {
    for (let n = 0; n < 3; n++) for (const owner of [acme, beta]) await post(owner, `listed-${n}`, 1)
    const worker = await openApp(space, 'worker', ON)
    await completed(beta, 'listed-2')
    await settled()
    await worker.close()
    // A list has only orders that were accepted before its `as_of`.
    await space.sql('UPDATE orders SET created_at = created_at - INTERVAL 1 HOUR')
    const first = (await acme.call('GET', '/orders?order=created_at&limit=2')).json<Page>()
    expect(first.orders).toHaveLength(2)
    const url = `/orders?order=created_at&limit=2&cursor=${first.next}`
    expect((await acme.call('GET', url)).statusCode).toBe(200)
    expect((await beta.call('GET', url)).json()).toMatchObject({ status: 400 })
    const { orders } = (await beta.call('GET', '/orders?limit=100')).json<Page>()
    const rows = await space.sql<{ order_id: string }>("SELECT order_id FROM orders WHERE tenant = 'beta'")
    expect(orders.map(({ order_id }) => order_id).sort()).toEqual(rows.map(row => row.order_id).sort())
  })

  test('see nothing of each other in an answer, a log line or a metric', async () => {
    const fields = {
      customer_id: CANARY,
      metadata: { [CANARY]: CANARY },
      items: [{ sku: CANARY, quantity: 1, unit_price: 10 }]
    }
    await post(acme, CANARY, 10, fields)
    await post(acme, CANARY, 11, fields)
    expect(await read(acme, CANARY)).toMatchObject(fields)
    await post(acme, 'hidden', 10, { customer_id: CANARY })
    await acme.call('POST', '/orders/hidden/cancel')
    expect((await acme.call('GET', '/orders/hidden/events')).statusCode).toBe(200)
    const requests = async (owner: Tenant) => {
      for (const id of ['other', 'same']) {
        await post(owner, id, 10)
        await post(owner, id, 12)
        await owner.call('GET', `/orders/${id}`)
        await owner.call('POST', `/orders/${id}/cancel`)
        await owner.call('GET', `/orders/${id}/events`)
      }
      await owner.call('GET', '/orders/unknown')
      expect((await owner.call('GET', '/orders/hidden/events')).statusCode).toBe(404)
      await owner.call('POST', '/orders/unknown/cancel')
      await post(owner, 'a b', -1)
      for (const order of ['created_at', '-created_at', 'amount', '-amount'])
        await owner.call('GET', `/orders?limit=100&order=${order}`)
      await owner.call('GET', '/orders?customer_id=nobody')
      await owner.call('GET', '/orders?cursor=none')
    }
    await requests(beta)
    const worker = await openApp(space, 'worker', ON)
    await settled()
    await requests(main)
    const metrics = (await Promise.all([api, worker].map(({ call }) => call('/metrics')))).map(m => m.body)
    const text = await api.call({ url: '/metrics', headers: { accept: 'text/plain' } })
    const health = await api.call('/health')
    await worker.close()
    expect(acme.answers.join()).toContain(CANARY)
    for (const shown of [...beta.answers, ...main.answers, ...metrics, text.body, health.body]) {
      expect(shown).not.toContain(CANARY)
      expect(shown).not.toContain('acme')
    }
    const lines = [...api.log, ...worker.log].map(line => JSON.stringify(line))
    expect(lines.filter(line => /"(beta|default)-\d+"/.test(line) && line.includes(CANARY))).toEqual([])
    // The log lines of requests have the canary only for the tenant that sent it.
    expect(lines.filter(line => line.includes(CANARY) && !line.includes('"acme-'))).toEqual([])
  })
})

describe('orders of a tenant', () => {
  test('are refused while a process runs that does not know tenants', async () => {
    const { keys, processes } = api.app
    const older = { mode: 'api', lease: 1000, functions: [], consumes: [], taxRate: 0.18, database: 'x' }
    const text = JSON.stringify({ ...older, release: 2 })
    await space.redis.hset(keys.processes(), 'older', `${Date.now() + 600_000} ${text}`)
    await until('the older process is known', async () => processes.oldestRelease() === 2)
    expect((await post(acme, 'early', 1)).json()).toMatchObject({ status: 503 })
    expect((await post(main, 'early', 1)).statusCode).toBe(202)
    await space.redis.hdel(keys.processes(), 'older')
    await until('the older process is gone', async () => processes.oldestRelease() === 3)
    expect((await post(acme, 'early', 1)).statusCode).toBe(202)
  })

  test('are refused by a process that has not found the other processes yet', async () => {
    const without = await useApp(space, 'api', { ...ON, REDIS_PORT: NOWHERE })
    const send = (key: string) => {
      const payload = { order_id: 'without', amount: 1 }
      const headers = { authorization: `Bearer ${key}` }
      return without.call({ method: 'POST', url: '/orders', headers, payload })
    }
    expect((await send(acme.key)).statusCode).toBe(503)
    expect((await send(main.key)).statusCode).toBe(202)
  })
})
