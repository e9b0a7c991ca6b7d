import type { Failure } from '../../schema/order.ts'
import type { OrderPlaced } from '../../schema/order-placed.ts'
import { price } from './money.ts'
import { newRecord, type OrderRecord } from './order.ts'

/** The completed order that a message asks for, priced at the rate that was in force when it was accepted. */
export function complete(placed: OrderPlaced, at: Date): OrderRecord {
  return { ...finished(placed, at), ...price(placed.amount, placed.tax_rate), status: 'completed' }
}

/** The failed order that a message asked for in vain. */
export function fail(placed: OrderPlaced, failure: Failure, at: Date): OrderRecord {
  return { ...finished(placed, at), status: 'failed', failure }
}

function finished(placed: OrderPlaced, at: Date): OrderRecord {
  const time = at.toISOString()
  return {
    ...newRecord(placed.order_id, placed.amount, placed.accepted_at),
    updated_at: time,
    processed_at: time
  }
}
