import { beforeAll, expect, test } from 'vitest'
import { complete, fail } from '../../../src/orders/pricing.ts'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'
import { writeRow } from '../write-row.ts'

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

test('a GET and a repeated POST show an order as completed before its message is settled', async () => {
  await api.post({ order_id: 'unsettled', amount: 10 })
  const order = complete(message('unsettled'), '2026-01-31T12:00:01.000Z')
  await writeRow(api, order)
  const read = await api.call('/orders/unsettled')
  expect([read.headers['x-cache'], read.json()]).toEqual(['miss', expect.objectContaining({ total: 11.8 })])
  const again = await api.post({ order_id: 'unsettled', amount: 10 })
  expect([again.statusCode, again.body]).toEqual([200, read.body])
})

test('an order that was once read as completed stays completed while MySQL is unavailable', async () => {
  await api.post({ order_id: 'stays', amount: 10 })
  const order = complete(message('stays'), '2026-01-31T12:00:01.000Z')
  await writeRow(api, order, { messageId: '2-0' })
  const first = (await api.call('/orders/stays')).json()
  expect(first.status).toBe('completed')
  // Without the row, the read works as it does without MySQL.
  await space.sql("DELETE FROM orders WHERE order_id = 'stays'")
  expect((await api.call('/orders/stays')).json()).toEqual(first)
})

test('a waiting order is read from MySQL each time, and only a final document is restored, with a TTL', async () => {
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES ('waits', 10, 'processing', NOW(3), NOW(3))"
  )
  const key = api.app.keys.document('waits')
  for (let n = 0; n < 2; n++) {
    const read = await api.call('/orders/waits')
    expect([read.headers['x-cache'], read.json().status]).toEqual(['miss', 'processing'])
    // This call uses the same connection, so a restored document would exist after it.
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

test('a document that is restored in Redis does not replace a newer document', async () => {
  const { documents } = api.app.orders
  const at = '2026-01-31T12:00:01.000Z'
  await documents.putBack(complete(message('newer'), at))
  await documents.putBack(fail(message('newer'), { code: 'exhausted', detail: 'why' }, at))
  expect((await api.call('/orders/newer')).json()).toMatchObject({ status: 'completed' })
})
