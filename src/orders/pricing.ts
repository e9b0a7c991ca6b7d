import { decimalsOf } from '../../schema/http/currency.ts'
import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import type { Failure } from '../../schema/http/order.ts'
import type { OrderPlaced } from '../../schema/messages/order-placed.ts'
import { later } from '../async/clock.ts'
import { toDetails } from './details.ts'
import { price } from './money.ts'
import type { OrderRecord } from './order.ts'

/**
 * Completes the order of a message. The tax rate is the rate at the time of acceptance. `at` is UTC ISO 8601 with
 * milliseconds. Clocks of machines differ: when `at` is before the time of acceptance, the order completes at the time
 * of acceptance.
 */
export function complete(placed: OrderPlaced, at: string): OrderRecord {
  const { tax, total } = price(placed.amount, placed.tax_rate, decimalsOf(placed.currency ?? null))
  return finish(placed, at, { tax, total, status: 'completed', failure: null })
}

/** Makes the failed order of a message. `at` has the same meaning as in `complete`. */
export function fail(placed: OrderPlaced, failure: Failure, at: string): OrderRecord {
  return finish(placed, at, { tax: null, total: null, status: 'failed', failure })
}

function finish(
  placed: OrderPlaced,
  at: string,
  { tax, total, status, failure }: Pick<OrderRecord, 'tax' | 'total' | 'status' | 'failure'>
): OrderRecord {
  const { tenant = DEFAULT_TENANT, order_id, amount, accepted_at } = placed
  const end = later(at, accepted_at)
  return {
    tenant,
    order_id,
    amount,
    tax,
    total,
    status,
    created_at: accepted_at,
    updated_at: end,
    processed_at: end,
    details: toDetails(placed),
    failure
  }
}
