import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type NewOrder, Orderstream } from '../../clients/typescript/src/index.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()

function ordersOf(name: string, count: number): NewOrder[] {
  return Array.from({ length: count }, (_, index) => ({ order_id: `${name}-${index}`, amount: 1 }))
}

/** Starts an api. Returns a client that counts its requests. */
async function startApi(env: Record<string, string> = {}) {
  const { app } = await useApp(space, 'api', env)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const counts = { requests: 0 }
  const client = new Orderstream({
    url,
    fetch: (input, init) => {
      counts.requests++
      return fetch(input, init)
    }
  })
  return { url, client, counts }
}

test.each([true, false])(
  'createMany returns a result for each order, in order (streaming: %s)',
  async streaming => {
    const { client, counts } = await startApi()
    const orders = ordersOf(`many-${streaming}`, 12_000)
    const results = await Array.fromAsync(client.createMany(orders, { streaming }))
    expect(results.map(({ index, order_id, status }) => ({ index, order_id, status }))).toEqual(
      orders.map(({ order_id }, index) => ({ index, order_id, status: 202 }))
    )
    expect(counts.requests).toBe(2)
    const again = await Array.fromAsync(client.createMany(orders.slice(0, 3), { streaming, documents: true }))
    expect(again).toMatchObject(
      orders.slice(0, 3).map(({ order_id }) => ({ order_id, status: 200, order: { order_id, amount: 1 } }))
    )
  }
)

test('createMany returns the problem of an order, and sends the others', async () => {
  const { client } = await startApi()
  await client.create({ order_id: 'taken', amount: 1 })
  const orders = [
    { order_id: 'mixed-1', amount: 1 },
    { order_id: 'taken', amount: 2 },
    { order_id: 'mixed-2', amount: -1 },
    { order_id: 'mixed-3', amount: 1 }
  ]
  expect(await Array.fromAsync(client.createMany(orders))).toMatchObject([
    { index: 0, status: 202 },
    { index: 1, status: 409, problem: { type: 'urn:orderstream:problem:order-conflict' } },
    { index: 2, status: 400 },
    { index: 3, status: 202 }
  ])
  expect(await Array.fromAsync(client.createMany([]))).toEqual([])
})

test('createMany sends orders as they arrive, and a request does not wait for a slow source', async () => {
  const { client, counts } = await startApi({ REQUEST_TIMEOUT_MS: '2500' })
  const returned: (string | null)[] = []
  async function* slow() {
    yield { order_id: 'slow-1', amount: 1 }
    // The source goes on only when the first result has arrived.
    while (returned.length < 1) await delay(10)
    yield { order_id: 'slow-2', amount: 1 }
    while (returned.length < 2) await delay(10)
    await delay(3000)
    yield { order_id: 'slow-3', amount: 1 }
  }
  for await (const { order_id, status } of client.createMany(slow())) {
    expect(status).toBe(202)
    returned.push(order_id)
  }
  expect(returned).toEqual(['slow-1', 'slow-2', 'slow-3'])
  expect(counts.requests).toBeGreaterThan(1)
})

test('createMany sends orders over a limit again, until each is accepted', async () => {
  const { client } = await startApi({ RATE_LIMIT_MAX: '200', MAX_BATCH_ORDERS: '150' })
  const results = await Array.fromAsync(client.createMany(ordersOf('limited', 500)))
  expect(results.map(({ status }) => status)).toEqual(results.map(() => 202))
  expect(results.map(({ index }) => index)).toEqual(results.map((_, index) => index))
  expect(results).toHaveLength(500)
})

test('createMany ends with the refusal of an order when its attempts are used up', async () => {
  const { url } = await startApi({ RATE_LIMIT_MAX: '5' })
  const client = new Orderstream({ url, retries: { attempts: 1 } })
  const statuses = (await Array.fromAsync(client.createMany(ordersOf('refused', 10)))).map(
    each => each.status
  )
  expect(statuses).toHaveLength(10)
  expect(new Set(statuses)).toEqual(new Set([202, 429]))
})

test('createMany fails with the error of its source, after the results of the orders before it', async () => {
  const { client } = await startApi()
  const fault = new Error('the source is broken')
  let closed = 0
  function* broken(next: () => NewOrder) {
    try {
      yield* ordersOf('before', 2)
      yield next()
    } finally {
      closed++
    }
  }
  const returned: number[] = []
  const read = async (orders: Iterable<NewOrder>) => {
    for await (const { index } of client.createMany(orders)) returned.push(index)
  }
  const fail = () => {
    throw fault
  }
  await expect(read(broken(fail))).rejects.toBe(fault)
  expect(returned).toEqual([0, 1])
  await expect(read(broken(() => 1n as never))).rejects.toThrow(TypeError)
  await expect(read(broken(() => 'order' as never))).rejects.toThrow(TypeError)
  for await (const _ of client.createMany(broken(fail))) break
  expect(closed).toBe(4)
})

test('createMany fails when the service refuses the request', async () => {
  const { client } = await startApi({ AUTH: 'on', ADMIN_TOKEN: 'a-token-for-the-tests' })
  for (const streaming of [true, false]) {
    const results = client.createMany(ordersOf('unauthorized', 20_000), { streaming })
    await expect(results.next()).rejects.toMatchObject({ code: 'unauthorized', status: 401 })
  }
})
