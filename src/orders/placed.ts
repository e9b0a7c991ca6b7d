import {
  ORDER_PLACED_VERSIONS,
  type OrderPlaced,
  type OrderPlacedVersion
} from '../../schema/messages/order-placed.ts'
import type { OrderRecord } from './order.ts'

/** Digits before the point of an amount that version 1 of the message can carry. */
const PLAIN_DIGITS = 6

/** Makes the message of an order that waits. `taxRate` is decimal text. */
export function toPlaced(
  {
    order_id,
    amount,
    created_at,
    details
  }: Pick<OrderRecord, 'order_id' | 'amount' | 'created_at' | 'details'>,
  taxRate: string
): OrderPlaced {
  const placed: OrderPlaced = { order_id, amount, tax_rate: taxRate, accepted_at: created_at }
  if (details === null) return placed
  const { currency, customer_id, region, items, metadata } = details
  return {
    ...placed,
    ...(currency !== null && { currency }),
    ...(customer_id !== null && { customer_id }),
    ...(region !== null && { region }),
    ...(items !== null && { items: JSON.parse(items) }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) })
  }
}

/** The version of an order's message: the oldest that can carry it, so that a process of the release before works on. */
export function versionOf({ amount, details }: Pick<OrderRecord, 'amount' | 'details'>): OrderPlacedVersion {
  const { plain, full } = ORDER_PLACED_VERSIONS
  const digits = amount.indexOf('.') === -1 ? amount.length : amount.indexOf('.')
  return details === null && digits <= PLAIN_DIGITS ? plain : full
}
