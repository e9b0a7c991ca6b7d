import type { NewOrder } from '../../../schema/http/order.ts'
import type { OrderPlacedVersion } from '../../../schema/messages/order-placed.ts'
import { isoNow } from '../../async/clock.ts'
import { toDetails } from '../details.ts'
import { canonicalAmount } from '../money.ts'
import { newRecord, type OrderRecord, renderDocument } from '../order.ts'
import { renderPlaced, versionOf } from '../placed.ts'

/** The request that sent an order. The message carries the other two fields. */
export interface Origin {
  /** The tenant of the caller. */
  tenant: string
  requestId: string
  /** The W3C traceparent; '' when the request has none. */
  traceparent: string
}

/** An order before it is accepted, with its document and its message. */
export interface Candidate {
  order: OrderRecord
  /** The document of the order. Redis stores it, and the client receives it. */
  document: string
  /** The message of the order, as JSON text. */
  message: string
  /** The tax rate that the order keeps; decimal text. */
  taxRate: string
  version: OrderPlacedVersion
  origin: Origin
}

/** Makes a candidate from the body of a request. `at` is the time of acceptance. `taxRate` is decimal text. */
export function toCandidate(body: NewOrder, taxRate: string, origin: Origin, at = isoNow()): Candidate {
  const order = newRecord(body.order_id, canonicalAmount(body.amount), at, toDetails(body), origin.tenant)
  return {
    order,
    document: renderDocument(order),
    message: renderPlaced(order, taxRate),
    taxRate,
    version: versionOf(order),
    origin
  }
}
