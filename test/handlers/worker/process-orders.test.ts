import { expect, test } from 'vitest'
import { complete } from '../../../src/orders/pricing.ts'
import { fieldOf } from '../../../src/streams/delivery.ts'
import { ORDER_FUNCTION, PLACED } from '../../../src/streams/streams.ts'
import { openApp, useApp } from '../../app.ts'
import { until, useSpace } from '../../space.ts'

const space = await useSpace()

const message = (order_id: string, amount: string) => ({
  order_id,
  amount,
  tax_rate: '0.18',
  accepted_at: '2026-01-31T12:00:00.000Z'
})

test('an order whose worker froze before it settled is told once, though another body is refused first', async () => {
  const api = await useApp(space, 'api')
  const placed = api.app.keys.stream(PLACED, 0)
  const place = (order_id: string, amount: string) => {
    const fields = { v: '1', data: JSON.stringify(message(order_id, amount)), request_id: 'r' }
    return space.redis.xadd(placed, '*', ...Object.entries(fields).flat()) as Promise<string>
  }

  // A worker that took the message, committed the row, and was never seen again.
  await space.redis.xgroup('CREATE', placed, ORDER_FUNCTION, '0', 'MKSTREAM')
  const messageId = await place('frozen', '10')
  await space.redis.xreadgroup('GROUP', ORDER_FUNCTION, 'frozen-worker', 'COUNT', 1, 'STREAMS', placed, '>')
  const order = complete(message('frozen', '10'), new Date().toISOString())
  await api.app.orders.store.write([{ order, messageId, redriven: false, ordinal: '', partition: 0 }])
  await place('frozen', '11')

  const worker = await openApp(space, 'worker', { LEASE_MS: 1000 })
  await until('both messages are settled', async () => (await space.redis.xlen(placed)) === 0)
  await worker.close()

  expect((await api.app.streams.deadLetters.list(ORDER_FUNCTION, '', 10)).letters).toHaveLength(1)
  expect((await api.call('/orders/frozen')).json()).toMatchObject({ amount: 10, status: 'completed' })
  expect(await space.redis.xlen(api.app.keys.stream('events', 0))).toBe(1)
})

test('a retry that an older version left, which had no ordinal, is processed', async () => {
  const { app } = await useApp(space, 'worker')
  const id = '1769860800000-0'
  const record = {
    v: '1',
    data: JSON.stringify(message('older', '10')),
    requestId: 'r',
    traceparent: '',
    number: '7',
    epoch: 'e',
    attempts: 1,
    firstAt: Date.now(),
    taken: 0,
    redriven: ''
  }
  await space.redis.hset(app.keys.retrying(ORDER_FUNCTION, 0), id, JSON.stringify(record))
  await space.redis.zadd(app.keys.retry(ORDER_FUNCTION, 0), 0, id)
  await until('the order is completed', async () => {
    const rows = await space.sql("SELECT 1 FROM orders WHERE order_id = 'older' AND status = 'completed'")
    return rows.length === 1
  })
})

test('the trace of a request travels with its message and its event, and one without a trace has no field for it', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const api = await useApp(space, 'api')
  const stream = (name: string) => api.app.keys.stream(name, 0)
  const traces = async (name: string, from: string) =>
    (await space.redis.xrange(stream(name), from, '+')).map(([, fields]) => fieldOf(fields, 'traceparent'))
  const [last] = await space.redis.xrevrange(stream('events'), '+', '-', 'COUNT', 1)
  await api.post({ order_id: 'traced', amount: 1 }, { traceparent })
  await api.post({ order_id: 'untraced', amount: 1 })
  expect(await traces(PLACED, '-')).toEqual([traceparent, ''])
  const [, untraced] = await space.redis.xrange(stream(PLACED), '-', '+')
  expect(untraced?.[1]).not.toContain('traceparent')

  await useApp(space, 'worker')
  await until('both are settled', async () => (await space.redis.xlen(stream(PLACED))) === 0)
  expect(await traces('events', `(${last?.[0] ?? '0'}`)).toEqual([traceparent, ''])
})
