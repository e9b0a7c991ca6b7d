import { beforeAll, expect, test } from 'vitest'
import { complete, fail } from '../../src/orders/pricing.ts'
import { openApp, type TestApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  return api.close
})

const message = (order_id: string) => ({
  order_id,
  amount: '10',
  tax_rate: '0.18',
  accepted_at: '2026-01-31T12:00:00.000Z'
})

test('an order whose worker has written the row and not settled yet is completed for who reads or repeats it', async () => {
  await api.post({ order_id: 'unsettled', amount: 10 })
  const order = complete(message('unsettled'), '2026-01-31T12:00:01.000Z')
  await api.app.orders.store.write([{ order, messageId: '1-0', redriven: false, ordinal: '', partition: 0 }])
  const read = await api.call('/orders/unsettled')
  expect([read.headers['x-cache'], read.json()]).toEqual(['miss', expect.objectContaining({ total: 11.8 })])
  const again = await api.post({ order_id: 'unsettled', amount: 10 })
  expect([again.statusCode, again.body]).toEqual([200, read.body])
})

test('an order that was completed for a reader stays so for the next one, though MySQL cannot be asked any more', async () => {
  await api.post({ order_id: 'told', amount: 10 })
  const order = complete(message('told'), '2026-01-31T12:00:01.000Z')
  await api.app.orders.store.write([{ order, messageId: '2-0', redriven: false, ordinal: '', partition: 0 }])
  const first = (await api.call('/orders/told')).json()
  expect(first.status).toBe('completed')
  // As when it is away: no row can be seen.
  await space.sql("DELETE FROM orders WHERE order_id = 'told'")
  expect((await api.call('/orders/told')).json()).toEqual(first)
})

test('a row that waits is read from MySQL each time: only a final document is put back, and for a time', async () => {
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES ('waits', 10, 'processing', NOW(3), NOW(3))"
  )
  const key = api.app.keys.document('waits')
  for (let n = 0; n < 2; n++) {
    const read = await api.call('/orders/waits')
    expect([read.headers['x-cache'], read.json().status]).toEqual(['miss', 'processing'])
    // On the same connection: what was put back would be there.
    await api.app.stores.redis.client.time()
    expect(await space.redis.exists(key)).toBe(0)
  }
  await space.sql(
    "UPDATE orders SET status = 'completed', tax = 1.8, total = 11.8, processed_at = NOW(3) WHERE order_id = 'waits'"
  )
  await api.call('/orders/waits')
  await api.app.stores.redis.client.time()
  const ttl = await space.redis.ttl(key)
  expect(ttl).toBeGreaterThan(3500)
  expect(ttl).toBeLessThanOrEqual(3600)
})

test('a document that is there by the time an older one is put back stays', async () => {
  const { documents } = api.app.orders
  const at = '2026-01-31T12:00:01.000Z'
  await documents.putBack(complete(message('newer'), at))
  await documents.putBack(fail(message('newer'), { code: 'exhausted', detail: 'why' }, at))
  expect((await api.call('/orders/newer')).json()).toMatchObject({ status: 'completed' })
})
