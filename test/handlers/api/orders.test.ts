import { beforeAll, describe, expect, test } from 'vitest'
import { complete, fail } from '../../../src/orders/pricing.ts'
import { startProxy } from '../../fault/proxy.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp
let worker: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  worker = await openApp(space, 'worker')
  return () => Promise.all([api.close(), worker.close()])
})

const completed = (id: string) =>
  until(`${id} is completed`, async () => {
    const response = await api.call(`/orders/${id}`)
    return response.json().status === 'completed' && response
  })

describe('POST /orders', () => {
  test('accepts an order and returns its document at once', async () => {
    const response = await api.post({ order_id: 'new-1', amount: 100.0 })
    expect(response.statusCode).toBe(202)
    expect(response.headers).toMatchObject({
      location: '/orders/new-1',
      durability: 'fsync',
      'content-type': 'application/json; charset=utf-8'
    })
    expect(response.json()).toMatchObject({
      order_id: 'new-1',
      amount: 100,
      tax: null,
      total: null,
      status: 'processing',
      processed_at: null
    })
    expect((await completed('new-1')).json()).toMatchObject({
      amount: 100,
      tax: 18,
      total: 118,
      status: 'completed',
      processed_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/)
    })
  })

  test.each([100, '100.00', '100', 100.0])(
    'replays an order that is sent again with the amount %j',
    async amount => {
      await api.post({ order_id: 'again', amount: 100 })
      const response = await api.post({ order_id: 'again', amount })
      expect(response.statusCode).toBe(200)
      expect(response.headers['idempotent-replayed']).toBe('true')
      expect(response.json()).toMatchObject({ order_id: 'again', amount: 100 })
    }
  )

  test('refuses another body for a known id, and keeps the first body', async () => {
    await api.post({ order_id: 'first', amount: 1 })
    const refused = await api.post({ order_id: 'first', amount: 2 })
    expect([refused.statusCode, refused.json().type]).toEqual([409, 'urn:orderstream:problem:order-conflict'])
    expect((await completed('first')).json()).toMatchObject({ amount: 1 })
    expect((await api.post({ order_id: 'first', amount: 2 })).statusCode).toBe(409)
  })

  test('I2: recognises an id that Redis has lost and MySQL has', async () => {
    await api.post({ order_id: 'forgotten', amount: 5 })
    await completed('forgotten')
    await until('the document is dropped', async () => space.redis.del(api.app.keys.document('forgotten')))
    const replay = await api.post({ order_id: 'forgotten', amount: 5 })
    expect([replay.statusCode, replay.json().status]).toEqual([200, 'completed'])
    await space.redis.del(api.app.keys.document('forgotten'))
    expect((await api.post({ order_id: 'forgotten', amount: 6 })).statusCode).toBe(409)
    expect(await space.sql("SELECT COUNT(*) AS n FROM orders WHERE order_id = 'forgotten'")).toEqual([
      { n: 1 }
    ])
  })

  test('I2: answers 50 concurrent requests for one order with one 202 and 49 times 200, and writes one row', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => api.post({ order_id: 'race', amount: 9.99 }))
    )
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([...Array(49).fill(200), 202])
    await completed('race')
    expect(await space.sql("SELECT COUNT(*) AS n FROM orders WHERE order_id = 'race'")).toEqual([{ n: 1 }])
  })

  test('I2: answers 50 concurrent requests with one id and 50 amounts with one 202 and 49 times 409', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => api.post({ order_id: 'clash', amount: index + 1 }))
    )
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([202, ...Array(49).fill(409)])
    const winner = answers.find(({ statusCode }) => statusCode === 202)?.json().amount
    expect((await completed('clash')).json().amount).toBe(winner)
  })

  test('prices an order at the tax rate of its acceptance', async () => {
    const dear = await openApp(space, 'api', { TAX_RATE: '0.5' })
    await dear.post({ order_id: 'pinned', amount: 10 })
    await dear.close()
    expect((await completed('pinned')).json()).toMatchObject({ tax: 5, total: 15 })
  })
})

describe('GET /orders/:order_id', () => {
  test('finds an accepted order from the moment of its 202', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `found-${index}`)
    await Promise.all(
      ids.map(async id => {
        await api.post({ order_id: id, amount: 1 })
        expect((await api.call(`/orders/${id}`)).statusCode).toBe(200)
      })
    )
  })

  test('answers from Redis, and restores a deleted document from MySQL', async () => {
    await api.post({ order_id: 'cached', amount: 0.3 })
    const hit = await until('the document is final', async () => {
      const response = await completed('cached')
      return response.headers['x-cache'] === 'hit' && response
    })
    const key = api.app.keys.document('cached')
    await space.redis.del(key)
    // Another process answers, because this one has the document in memory.
    const other = await openApp(space, 'api')
    const miss = await other.call('/orders/cached')
    await other.close()
    expect(miss.headers['x-cache']).toBe('miss')
    expect(miss.body).toBe(hit.body)
    await until('the document is back', async () => (await space.redis.get(key)) === hit.body)
  })

  test('answers a completed order from memory after the first read, and reads a failed order each time', async () => {
    const placed = { amount: '1', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
    const at = '2026-01-31T12:00:01.000Z'
    const orders = [
      complete({ order_id: 'known', ...placed }, at),
      fail({ order_id: 'failed', ...placed }, { code: 'exhausted', detail: 'why' }, at)
    ]
    for (const order of orders) {
      const { key, value, ttl } = api.app.orders.toPublication(order, '').write
      await space.redis.set(key, value, 'PX', ttl)
      expect((await api.call(`/orders/${order.order_id}`)).body).toBe(value)
      await space.redis.del(key)
    }
    const known = await api.call('/orders/known')
    expect([known.statusCode, known.headers['x-cache'], known.json().total]).toEqual([200, 'hit', 1.18])
    expect((await api.call('/orders/failed')).statusCode).toBe(404)
  })

  test('answers 304 to a client that has the current document, and 200 after each change', async () => {
    await worker.close()
    await api.post({ order_id: 'tagged', amount: 1 })
    const read = (tag?: unknown) =>
      api.call({ url: '/orders/tagged', headers: tag === undefined ? {} : { 'if-none-match': String(tag) } })
    const { etag } = (await read()).headers
    const same = await read(etag)
    expect([same.statusCode, same.body, same.headers.etag]).toEqual([304, '', etag])
    for (const tag of [`W/${etag}`, `"other", ${etag}`, '*']) expect((await read(tag)).statusCode).toBe(304)
    expect((await read('"other"')).statusCode).toBe(200)
    worker = await openApp(space, 'worker')
    await completed('tagged')
    const changed = await read(etag)
    expect([changed.statusCode, changed.json().status]).toEqual([200, 'completed'])
    expect((await read(changed.headers.etag)).statusCode).toBe(304)
  })

  test('answers an unknown id with 404 and an invalid one with 400', async () => {
    const unknown = await api.call('/orders/unknown')
    expect([unknown.statusCode, unknown.json().type]).toEqual([
      404,
      'urn:orderstream:problem:order-not-found'
    ])
    expect((await api.call(`/orders/${'x'.repeat(101)}`)).statusCode).toBe(400)
    expect((await api.call('/orders/%20')).json().errors).toEqual([
      { pointer: '/order_id', detail: expect.any(String) }
    ])
  })

  test('sets a TTL only on the document of a final order, and renews the TTL at a read', async () => {
    const key = api.app.keys.document('ttl')
    await worker.close()
    await api.post({ order_id: 'ttl', amount: 1 })
    await api.call('/orders/ttl')
    expect(await space.redis.pttl(key)).toBe(-1)
    worker = await openApp(space, 'worker')
    await completed('ttl')
    await until('the order is settled', async () => (await space.redis.pttl(key)) > 0)
    // Other processes answer, because this one has the document in memory.
    const [one, other] = [await useApp(space, 'api'), await useApp(space, 'api')]
    await space.redis.pexpire(key, 1000_000)
    await one.call('/orders/ttl')
    await until('it is renewed', async () => (await space.redis.pttl(key)) > 3500_000)
    await space.redis.pexpire(key, 2000_000)
    await other.call('/orders/ttl')
    expect(await space.redis.pttl(key)).toBeLessThanOrEqual(2000_000)
  })

  test('sets no TTL on a document that is no longer final when a late renewal runs', async () => {
    const proxy = await startProxy(Number(space.env.REDIS_PORT))
    const behind = await useApp(space, 'api', { REDIS_PORT: proxy.port })
    const key = behind.app.keys.document('late-renewal')
    await behind.post({ order_id: 'late-renewal', amount: 1 })
    await completed('late-renewal')
    const final = await until('it is settled', async () => {
      const document = await space.redis.get(key)
      return document?.includes('completed') && document
    })
    await space.redis.pexpire(key, 1000_000)
    const renewed = proxy.holdAt('pexpire')
    expect((await behind.call('/orders/late-renewal')).body).toBe(final)
    await renewed
    await space.redis.set(key, final.replace('completed', 'processing'))
    proxy.release()
    // This call uses the same connection, so the renewal runs before it.
    await behind.app.stores.redis.client.time()
    expect(await space.redis.pttl(key)).toBe(-1)
  })
})

test('a worker has no routes for orders', async () => {
  expect((await worker.post({ order_id: 'w', amount: 1 })).statusCode).toBe(404)
  expect((await worker.call('/orders/new-1')).statusCode).toBe(404)
})
