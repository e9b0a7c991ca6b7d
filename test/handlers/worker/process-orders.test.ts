import { expect, test } from 'vitest'
import { complete } from '../../../src/orders/pricing.ts'
import { ORDER_FUNCTION, PLACED } from '../../../src/streams/streams.ts'
import { openApp, useApp } from '../../app.ts'
import { until, useSpace } from '../../space.ts'

const space = await useSpace()

test('an order whose worker froze before it settled is told once, though another body is refused first', async () => {
  const api = await useApp(space, 'api')
  const placed = api.app.keys.stream(PLACED, 0)
  const place = (order_id: string, amount: string) => {
    const data = JSON.stringify({
      order_id,
      amount,
      tax_rate: '0.18',
      accepted_at: '2026-01-31T12:00:00.000Z'
    })
    const fields = { v: '1', data, request_id: 'r', traceparent: '', number: '', epoch: '' }
    return space.redis.xadd(placed, '*', ...Object.entries(fields).flat()) as Promise<string>
  }

  // A worker that took the message, committed the row, and was never seen again.
  await space.redis.xgroup('CREATE', placed, ORDER_FUNCTION, '0', 'MKSTREAM')
  const messageId = await place('frozen', '10')
  await space.redis.xreadgroup('GROUP', ORDER_FUNCTION, 'frozen-worker', 'COUNT', 1, 'STREAMS', placed, '>')
  const body = { order_id: 'frozen', amount: '10', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
  const order = complete(body, new Date())
  await api.app.orders.store.write([
    { order, messageId, redriven: false, number: '', epoch: '', partition: 0 }
  ])
  await place('frozen', '11')

  const worker = await openApp(space, 'worker', { LEASE_MS: 1000 })
  await until('both messages are settled', async () => (await space.redis.xlen(placed)) === 0)
  await worker.close()

  expect((await api.app.streams.deadLetters.list(ORDER_FUNCTION, '', 10)).letters).toHaveLength(1)
  expect((await api.call('/orders/frozen')).json()).toMatchObject({ amount: 10, status: 'completed' })
  expect(await space.redis.xlen(api.app.keys.stream('events', 0))).toBe(1)
})
