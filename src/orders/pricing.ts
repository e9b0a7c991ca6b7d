import type { OrderPlaced } from '../../schema/order-placed.ts'
import { price } from './money.ts'
import type { OrderRecord } from './order.ts'

/** The completed order that a message asks for, priced at the rate that was in force when it was accepted. */
export function complete(placed: OrderPlaced, at: Date): OrderRecord {
  const time = at.toISOString()
  return {
    order_id: placed.order_id,
    amount: placed.amount,
    ...price(placed.amount, placed.tax_rate),
    status: 'completed',
    created_at: placed.accepted_at,
    updated_at: time,
    processed_at: time
  }
}
