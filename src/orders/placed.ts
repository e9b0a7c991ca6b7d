import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import {
  ORDER_PLACED_VERSIONS,
  type OrderPlaced,
  type OrderPlacedVersion
} from '../../schema/messages/order-placed.ts'
import type { OrderRecord } from './order.ts'

/** The most digits before the decimal point that an amount has in version 1 of the message. */
const PLAIN_DIGITS = 6

/** Makes the message of an accepted order. `taxRate` is decimal text. */
export function toPlaced(
  {
    tenant,
    order_id,
    amount,
    created_at,
    details
  }: Pick<OrderRecord, 'tenant' | 'order_id' | 'amount' | 'created_at' | 'details'>,
  taxRate: string
): OrderPlaced {
  const placed: OrderPlaced = { order_id, amount, tax_rate: taxRate, accepted_at: created_at }
  if (tenant !== DEFAULT_TENANT) placed.tenant = tenant
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

/**
 * Returns the version of an order's message: the oldest version that has all fields of the order. A process of the
 * previous release can then read the message.
 */
export function versionOf({
  tenant,
  amount,
  details
}: Pick<OrderRecord, 'tenant' | 'amount' | 'details'>): OrderPlacedVersion {
  const { plain, full } = ORDER_PLACED_VERSIONS
  const digits = amount.indexOf('.') === -1 ? amount.length : amount.indexOf('.')
  return details === null && tenant === DEFAULT_TENANT && digits <= PLAIN_DIGITS ? plain : full
}
