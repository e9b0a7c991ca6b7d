import { expect, onTestFinished, test } from 'vitest'
import {
  ConnectionError,
  type Order,
  Orderstream,
  WaitTimeoutError
} from '../../clients/typescript/src/index.ts'
import { type Service, startService } from '../harness/service.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ids = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}-${index}`)

/** Starts an api and a client of it. */
async function startApi(env: Record<string, string> = {}): Promise<{ api: Service; client: Orderstream }> {
  const api = await startService(space, 'api', env)
  return { api, client: new Orderstream({ url: api.url }) }
}

async function startBoth() {
  const started = await startApi()
  await startService(space, 'worker')
  return started
}

test('create, get, waitFor and list return what the service has', { timeout: 90_000 }, async () => {
  const { client } = await startBoth()
  const order = {
    order_id: 'first',
    amount: '99.95',
    customer_id: 'customer-1',
    metadata: { channel: 'web' }
  }
  const created = await client.create(order)
  expect(created).toMatchObject({
    replayed: false,
    durability: expect.stringMatching(/^(fsync|memory)$/),
    order: { order_id: 'first', amount: 99.95, metadata: { channel: 'web' } }
  })
  const final = await client.waitFor('first', { timeout: 20_000 })
  expect(final.status).toBe('completed')
  expect(await client.create(order)).toEqual({ order: final, replayed: true, durability: undefined })
  expect(await client.get('first')).toEqual(final)
  expect((await client.create({ order_id: 'second', amount: 1 }, { wait: 20_000 })).order.status).toBe(
    'completed'
  )

  for (const order_id of ids('listed', 7)) await client.create({ order_id, amount: 5, customer_id: 'lister' })
  for (const order_id of ids('listed', 7)) await client.waitFor(order_id)
  const query = { customer_id: 'lister', limit: 3 }
  const listed = await until('the list has all orders', async () => {
    const orders: Order[] = await Array.fromAsync(client.list(query))
    return orders.length === 7 && orders
  })
  expect(listed.map(each => each.order_id).toSorted()).toEqual(ids('listed', 7))
  const pages = await Array.fromAsync(client.listPages(query))
  expect(pages.map(({ orders }) => orders.length)).toEqual([3, 3, 1])
  const rest = client.list({ ...query, cursor: pages[0]?.next ?? 'none' })
  expect(await Array.fromAsync(rest)).toEqual(listed.slice(3))
})

test('waitFor fails after its time, and has the order as it is', async () => {
  const { client } = await startApi()
  await client.create({ order_id: 'waits', amount: 1 })
  const failed = client.waitFor('waits', { timeout: 3000 })
  await expect(failed).rejects.toThrow(WaitTimeoutError)
  await expect(failed).rejects.toMatchObject({ code: 'wait-timeout', order: { status: 'processing' } })
})

test('waitFor goes on while the service stops, and another process takes its place', {
  timeout: 90_000
}, async () => {
  const { api, client } = await startApi()
  await client.create({ order_id: 'moves', amount: 1 })
  const urls = [api.url]
  const moving = new Orderstream({
    url: api.url,
    fetch: (input, init) => fetch(String(input).replace(api.url, urls.at(-1) as string), init),
    retries: { attempts: 100 }
  })
  const waiting = moving.waitFor('moves')
  const next = await startApi()
  urls.push(next.api.url)
  await api.end('SIGTERM')
  await startService(space, 'worker')
  expect((await waiting).status).toBe('completed')
})

test('cancel cancels an order that is processing, and only such an order', { timeout: 90_000 }, async () => {
  const { client } = await startApi()
  await client.create({ order_id: 'unwanted', amount: 1 })
  const cancelled = await client.cancel('unwanted')
  expect(cancelled.status).toBe('cancelled')
  expect(await client.cancel('unwanted')).toEqual(cancelled)
  await startService(space, 'worker')
  await client.create({ order_id: 'final', amount: 1 })
  await client.waitFor('final')
  await expect(client.cancel('final')).rejects.toMatchObject({ code: 'order-final', status: 409 })
})

test('a refusal is an OrderstreamError with the problem of the service, and is not repeated', async () => {
  const { api } = await startApi()
  let requests = 0
  const client = new Orderstream({
    url: `${api.url}/`,
    fetch: (input, init) => {
      requests++
      return fetch(input, init)
    }
  })
  await client.create({ order_id: 'known', amount: 1 })
  requests = 0
  const conflict = client.create({ order_id: 'known', amount: 2 })
  await expect(conflict).rejects.toMatchObject({
    name: 'OrderstreamError',
    code: 'order-conflict',
    status: 409,
    error_id: expect.any(String),
    problem: { type: 'urn:orderstream:problem:order-conflict', instance: '/orders' }
  })
  await expect(client.get('unknown')).rejects.toMatchObject({ code: 'order-not-found', status: 404 })
  await expect(client.get('no/id?')).rejects.toMatchObject({ status: 400 })
  const invalid = client.create({ order_id: 'invalid', amount: -1 })
  await expect(invalid).rejects.toMatchObject({ problem: { errors: [{ pointer: '/amount' }] } })
  expect(requests).toBe(4)
})

test('a key is sent with each request, and a function is called for each', async () => {
  const { api } = await startApi({ AUTH: 'on', ADMIN_TOKEN: 'a-token-for-the-tests' })
  const answer = await fetch(`${api.url}/admin/keys`, {
    method: 'POST',
    headers: { authorization: 'Bearer a-token-for-the-tests', 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'client', scopes: ['orders:write', 'orders:read'] })
  })
  const { key } = (await answer.json()) as { key: string }
  const client = new Orderstream({ url: api.url, key })
  await client.create({ order_id: 'with-key', amount: 1 })
  let calls = 0
  const changing = new Orderstream({ url: api.url, key: async () => (calls++ === 0 ? key : 'wrong') })
  expect(await changing.get('with-key')).toMatchObject({ order_id: 'with-key' })
  await expect(changing.get('with-key')).rejects.toMatchObject({ code: 'unauthorized', status: 401 })
  const without = new Orderstream({ url: api.url })
  await expect(without.get('with-key')).rejects.toMatchObject({ status: 401 })
  await expect(without.watch()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ status: 401 })
})

test('the signal of the caller ends every call with its reason', async () => {
  const { client } = await startApi()
  await client.create({ order_id: 'aborted', amount: 1 })
  const reason = new Error('no longer wanted')
  const end = () => {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(reason), 100)
    onTestFinished(() => clearTimeout(timer))
    return controller.signal
  }
  await expect(client.get('aborted', { wait: 30_000, signal: end() })).rejects.toBe(reason)
  await expect(client.waitFor('aborted', { signal: end() })).rejects.toBe(reason)
  await expect(client.get('aborted', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  await expect(client.list({}, { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason)
  await expect(client.watch({ signal: end() })[Symbol.asyncIterator]().next()).rejects.toBe(reason)
  async function* endless() {
    yield { order_id: 'sent', amount: 1 }
    await new Promise(() => {})
  }
  const results = client.createMany(endless(), { signal: end() })
  await expect(Array.fromAsync(results)).rejects.toBe(reason)
})

test('a service that cannot be reached is a ConnectionError, after the last attempt', async () => {
  const client = new Orderstream({ url: 'http://127.0.0.1:1', retries: { attempts: 3, base: 1 } })
  const failed = client.get('any')
  await expect(failed).rejects.toThrow(ConnectionError)
  await expect(failed).rejects.toMatchObject({ code: 'connection-failed', status: undefined })
  await expect(client.watch()[Symbol.asyncIterator]().next()).rejects.toThrow(ConnectionError)
  await expect(Array.fromAsync(client.createMany([{ order_id: 'a', amount: 1 }]))).rejects.toThrow(
    ConnectionError
  )
  expect(() => new Orderstream({ url: 'no url' })).toThrow(TypeError)
})
