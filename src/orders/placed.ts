import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import {
  ORDER_PLACED_VERSIONS,
  type OrderPlaced,
  type OrderPlacedVersion
} from '../../schema/messages/order-placed.ts'
import { renderDetails } from './details.ts'
import type { OrderRecord } from './order.ts'

/** The most digits before the decimal point that an amount has in version 1 of the message. */
const PLAIN_DIGITS = 6

/** The part of an order that its message has. */
type PlacedSource = Pick<OrderRecord, 'tenant' | 'order_id' | 'amount' | 'created_at' | 'details'>

/**
 * Renders the message of an accepted order. No other function renders it. `taxRate` is decimal text. Ids, amounts and
 * times contain no character to escape.
 */
export function renderPlaced(order: PlacedSource, taxRate: string): string {
  const { tenant, order_id, amount, created_at, details } = order
  const own = tenant === DEFAULT_TENANT ? '' : `,"tenant":"${tenant}"`
  return `{"order_id":"${order_id}","amount":"${amount}","tax_rate":"${taxRate}","accepted_at":"${created_at}"${own}${renderDetails(details)}}`
}

/** Makes the message of an accepted order. `taxRate` is decimal text. */
export function toPlaced(order: PlacedSource, taxRate: string): OrderPlaced {
  return JSON.parse(renderPlaced(order, taxRate))
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
