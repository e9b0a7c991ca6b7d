import type { Order } from '../../schema/http/order.ts'
import { toDetails } from './details.ts'
import type { OrderRecord } from './order.ts'

/** Converts the document of an order to the order. */
export function fromDocument(document: string, tenant: string): OrderRecord {
  const order: Order = JSON.parse(document)
  const { order_id, amount, status, created_at, updated_at, processed_at, failure = null } = order
  const priced = (money: number | null) => (money === null ? null : String(money))
  return {
    tenant,
    order_id,
    amount: String(amount),
    tax: priced(order.tax),
    total: priced(order.total),
    status,
    created_at,
    updated_at,
    processed_at,
    details: toDetails(order),
    failure
  }
}
