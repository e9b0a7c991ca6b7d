import type { Failure } from '../../schema/http/order.ts'
import type { OrderPlaced } from '../../schema/messages/order-placed.ts'
import { later } from '../async/clock.ts'
import { price } from './money.ts'
import type { OrderRecord } from './order.ts'

/**
 * The completed order that a message asks for, priced at the rate that was in force when it was accepted; `at` is UTC
 * ISO 8601 with milliseconds. An order that was accepted later than that, by the clock of another machine, ends when it
 * was accepted.
 */
export function complete(placed: OrderPlaced, at: string): OrderRecord {
  const { tax, total } = price(placed.amount, placed.tax_rate)
  return finished(placed, at, { tax, total, status: 'completed', failure: null })
}

/** The failed order that a message asked for in vain; `at` as in `complete`. */
export function fail(placed: OrderPlaced, failure: Failure, at: string): OrderRecord {
  return finished(placed, at, { tax: null, total: null, status: 'failed', failure })
}

function finished(
  { order_id, amount, accepted_at }: OrderPlaced,
  at: string,
  { tax, total, status, failure }: Pick<OrderRecord, 'tax' | 'total' | 'status' | 'failure'>
): OrderRecord {
  const end = later(at, accepted_at)
  return {
    order_id,
    amount,
    tax,
    total,
    status,
    created_at: accepted_at,
    updated_at: end,
    processed_at: end,
    failure
  }
}
