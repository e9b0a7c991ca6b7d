import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newRecord } from '../../../src/orders/order.ts'
import { complete, fail } from '../../../src/orders/pricing.ts'
import { type ProcessedOrder, planWrites } from '../../../src/orders/process/plan-writes.ts'
import type { StoredOrder } from '../../../src/orders/tables/row.ts'

const AT = '2026-01-31T12:00:00.000Z'
const ids = fc.constantFrom('a', 'b', 'c')
const amounts = fc.constantFrom('1', '2')
const messageIds = fc.constantFrom('1-0', '2-0', '3-0')

const finalOrder = (order_id: string, amount: string, completes: boolean) => {
  const placed = { order_id, amount, tax_rate: '0.18', accepted_at: AT }
  return completes ? complete(placed, AT) : fail(placed, { code: 'exhausted', detail: 'why' }, AT)
}

const orders: fc.Arbitrary<ProcessedOrder> = fc
  .record({
    id: ids,
    amount: amounts,
    completes: fc.boolean(),
    messageId: messageIds,
    redriven: fc.boolean()
  })
  .map(({ id, amount, completes, messageId, redriven }) => ({
    order: finalOrder(id, amount, completes),
    messageId,
    requestId: 'r',
    redriven,
    ordinal: '',
    partition: 0
  }))

const rows: fc.Arbitrary<StoredOrder> = fc
  .record({
    id: ids,
    amount: amounts,
    state: fc.constantFrom('processing', 'completed', 'failed', 'cancelled')
  })
  .map(({ id, amount, state }) =>
    state === 'processing' || state === 'cancelled'
      ? { ...newRecord(id, amount, AT), status: state, messageId: null, requestId: null }
      : { ...finalOrder(id, amount, state === 'completed'), messageId: '1-0', requestId: 'r' }
  )

const cases = fc.tuple(
  fc.array(orders, { maxLength: 12 }),
  fc.uniqueArray(rows, { selector: ({ order_id }) => order_id })
)

test('I2: a plan writes each id once, keeps the first amount and never changes a completed or cancelled row', () => {
  fc.assert(
    fc.property(cases, ([batch, stored]) => {
      const existing = new Map(stored.map(row => [row.order_id, row]))
      const plan = planWrites(batch, existing)
      expect(existing).toEqual(new Map(stored.map(row => [row.order_id, row])))

      const current = new Map(existing)
      const [insert, finish, stamp] = [[...plan.insert], [...plan.finish], [...plan.stamp]]
      for (const [index, { order, messageId, requestId, redriven }] of batch.entries()) {
        const row = current.get(order.order_id)
        const outcome = plan.outcomes[index]
        if (!row) {
          expect(outcome).toEqual({ kind: 'written', order })
          current.set(order.order_id, insert.shift() as StoredOrder)
          expect(current.get(order.order_id)).toEqual({ ...order, messageId, requestId })
          continue
        }
        expect(outcome?.kind === 'conflict').toBe(order.amount !== row.amount)
        const mayFinish = row.status === 'processing' || (row.status === 'failed' && redriven)
        if (order.amount === row.amount && order.status === 'completed' && mayFinish) {
          const finished = finish.shift()
          expect(finished).toMatchObject({
            from: row.status,
            order: { order_id: order.order_id, status: 'completed', messageId: row.messageId }
          })
          current.set(order.order_id, finished?.order as StoredOrder)
        }
        // The first message about a cancelled order is the message of its acceptance.
        if (order.amount === row.amount && row.status === 'cancelled' && row.messageId === null) {
          expect(outcome?.kind).toBe('written')
          current.set(order.order_id, stamp.shift() as StoredOrder)
          expect(current.get(order.order_id)).toEqual({ ...row, messageId, requestId })
        }
        expect(outcome?.order).toEqual(current.get(order.order_id))
      }
      expect([insert, finish, stamp]).toEqual([[], [], []])
    }),
    { numRuns: 2000 }
  )
})
