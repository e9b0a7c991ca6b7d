import { beforeAll, beforeEach, expect, test } from 'vitest'
import { countCovered, readOutcomes } from '../../../src/orders/audit/outcomes.ts'
import { complete, fail } from '../../../src/orders/pricing.ts'
import type { ProcessedOrder } from '../../../src/orders/process/plan-writes.ts'
import { writeOrders } from '../../../src/orders/process/write-orders.ts'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()
let service: TestApp

beforeAll(async () => {
  service = await openApp(space, 'worker')
  return service.close
})

beforeEach(async () => {
  await space.sql('DELETE FROM orders')
  await space.sql('UPDATE order_totals SET processing = 0, completed = 0, failed = 0, revenue = 0')
})

let messages = 0
/** A completed order with a message of its own. */
const order = (id: string, amount = '100', overrides: Partial<ProcessedOrder> = {}): ProcessedOrder => ({
  order: complete(
    { order_id: id, amount, tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.123Z' },
    '2026-01-31T12:00:01.456Z'
  ),
  messageId: `${++messages}-0`,
  requestId: 'request-1',
  redriven: false,
  ordinal: '',
  partition: 0,
  ...overrides
})
const write = (...orders: ProcessedOrder[]) => writeOrders(service.app.stores.orders, orders)
const kinds = async (...orders: ProcessedOrder[]) => (await write(...orders)).map(({ kind }) => kind)
const totals = () => service.app.orders.store.totals()

test('new orders become rows, exact to the last place and the millisecond', async () => {
  expect(await kinds(order('b', '0.3'), order('a', '999999.9999'))).toEqual(['written', 'written'])
  expect(
    await space.sql(
      'SELECT order_id, amount, tax, total, status, created_at, updated_at, processed_at FROM orders ORDER BY order_id'
    )
  ).toEqual([
    {
      order_id: 'a',
      amount: '999999.9999',
      tax: '180000.0000',
      total: '1179999.9999',
      status: 'completed',
      created_at: '2026-01-31 12:00:00.123',
      updated_at: '2026-01-31 12:00:01.456',
      processed_at: '2026-01-31 12:00:01.456'
    },
    expect.objectContaining({ order_id: 'b', amount: '0.3000', tax: '0.0540', total: '0.3540' })
  ])
  expect(await totals()).toEqual({
    processing: 0,
    completed: 2,
    failed: 0,
    cancelled: 0,
    accepted: 0,
    revenue: '1180000.3539',
    revenueIn: new Map()
  })
})

test('ids that differ only in case are ids of different orders', async () => {
  expect(await kinds(order('A'), order('a'))).toEqual(['written', 'written'])
})

test('I4: a repeated delivery changes nothing, and another message about the same order is a duplicate', async () => {
  const [a, b] = [order('a'), order('b')]
  await write(a, b)
  expect(await kinds(b, order('c'), a, order('a'))).toEqual(['repeated', 'written', 'repeated', 'duplicate'])
  expect(await totals()).toMatchObject({ completed: 3, revenue: '354' })
})

test('a failed order is completed only by its redriven message', async () => {
  const placed = { order_id: 'a', amount: '100', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.123Z' }
  const message = order('a')
  const failed = {
    ...message,
    order: fail(placed, { code: 'exhausted', detail: 'no luck' }, new Date().toISOString())
  }
  expect(await kinds(failed)).toEqual(['written'])
  expect(await totals()).toMatchObject({ completed: 0, failed: 1, revenue: '0' })
  expect(await space.sql('SELECT status, failure_code, failure_detail, total FROM orders')).toEqual([
    { status: 'failed', failure_code: 'exhausted', failure_detail: 'no luck', total: null }
  ])
  expect(await kinds(order('a'), message)).toEqual(['duplicate', 'repeated'])
  expect(await totals()).toMatchObject({ completed: 0, failed: 1 })

  expect(await kinds({ ...message, redriven: true })).toEqual(['written'])
  expect(await totals()).toMatchObject({ completed: 1, failed: 0, revenue: '118' })
  expect(await kinds({ ...failed, redriven: true })).toEqual(['repeated'])
  expect(await space.sql('SELECT status, failure_code, CAST(total AS CHAR) AS total FROM orders')).toEqual([
    { status: 'completed', failure_code: null, total: '118.0000' }
  ])
})

test('two messages about one order in a batch make one row, and another body makes a conflict', async () => {
  expect(await kinds(order('a'), order('a'), order('a', '7'))).toEqual(['written', 'duplicate', 'conflict'])
  const [outcome] = await write(order('a', '8'))
  expect(outcome).toMatchObject({ kind: 'conflict', order: { amount: '100', total: '118' } })
  expect(await totals()).toMatchObject({ completed: 1, revenue: '118' })
})

test('a spilled row is completed and keeps the time of its acceptance', async () => {
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES ('a', 100, 'processing', '2026-01-30 00:00:00', '2026-01-30 00:00:00')"
  )
  await space.sql('UPDATE order_totals SET processing = 1 WHERE slot = 3')
  const [conflict, duplicate] = await write(order('a', '7'), order('a'))
  expect([conflict?.kind, duplicate?.kind]).toEqual(['conflict', 'duplicate'])
  expect(duplicate?.order).toMatchObject({ status: 'completed', created_at: '2026-01-30T00:00:00.000Z' })
  expect(await space.sql('SELECT status, total, created_at FROM orders')).toEqual([
    { status: 'completed', total: '118.0000', created_at: '2026-01-30 00:00:00.000' }
  ])
  expect(await totals()).toEqual({
    processing: 0,
    completed: 1,
    failed: 0,
    cancelled: 0,
    accepted: 0,
    revenue: '118',
    revenueIn: new Map()
  })
})

test('many concurrent writers of the same orders write each order once, and the totals match', async () => {
  const ids = Array.from({ length: 200 }, (_, index) => `order-${index}`)
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, (_, writer) =>
      write(...[...ids.slice(writer * 20), ...ids.slice(0, writer * 20)].map(id => order(id)))
    )
  )
  expect(outcomes.flat().filter(({ kind }) => kind === 'written')).toHaveLength(200)
  expect(await totals()).toMatchObject({ completed: 200, revenue: '23600' })
  expect(await space.sql('SELECT COUNT(*) AS rows_, CAST(SUM(total) AS CHAR) AS total FROM orders')).toEqual([
    { rows_: 200, total: '23600.0000' }
  ])
})

test('outcomes are recorded as ranges of ordinals, and a message that is delivered again counts once', async () => {
  const ordered = (id: string, number: number, amount = '1') =>
    order(id, amount, { ordinal: `e:${number}`, partition: 1 })
  const message = ordered('a', 10)
  await write(message, ordered('b', 8), ordered('c', 9), ordered('d', 12), order('uncounted', '1'))
  await write(message, ordered('b', 11), ordered('c', 13, '2'))
  const outcomes = await readOutcomes(service.app.stores.mysql, [{ epoch: 'e', partition: 1 }])
  const ranges = outcomes.get('1:e') ?? []
  expect(ranges.map(({ kind, first, last }) => [kind, first, last])).toEqual([
    ['row', 8, 10],
    ['row', 12, 12],
    ['row', 10, 10],
    ['duplicate', 11, 11],
    ['conflict', 13, 13]
  ])
  expect(countCovered(ranges, 8, 12)).toBe(4)
  expect(countCovered(ranges, 0, 20)).toBe(6)
})

test('a row is not processed before its creation or last update, even if the clock of a worker is slow', async () => {
  const at = (time: string) => `2026-01-31T12:00:${time}.000Z`
  const placed = { order_id: 'late', amount: '100', tax_rate: '0.18', accepted_at: at('10') }
  const message = { ...order('late'), order: fail(placed, { code: 'x', detail: '' }, at('20')) }
  await write(message)
  await write({ ...message, order: complete(placed, at('05')), redriven: true })
  const [outcome] = await write({
    ...order('later'),
    order: complete({ ...placed, order_id: 'later' }, at('05'))
  })
  expect(outcome?.order).toMatchObject({ created_at: at('10'), updated_at: at('10'), processed_at: at('10') })
  const rows = await service.app.orders.store.find(['late', 'later'])
  expect(rows.get('late')).toMatchObject({
    status: 'completed',
    created_at: at('10'),
    updated_at: at('20'),
    processed_at: at('20')
  })
})
