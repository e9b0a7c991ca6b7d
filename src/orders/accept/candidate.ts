import type { NewOrder } from '../../../schema/http/order.ts'
import type { OrderPlaced, OrderPlacedVersion } from '../../../schema/messages/order-placed.ts'
import { isoNow } from '../../async/clock.ts'
import { toDetails } from '../details.ts'
import { canonicalAmount } from '../money.ts'
import { newRecord, type OrderRecord, renderDocument } from '../order.ts'
import { toPlaced, versionOf } from '../placed.ts'

/** The request that sent an order. It travels with the message. */
export interface Origin {
  requestId: string
  /** W3C traceparent, or '' for none. */
  traceparent: string
}

/** An order as it will be if it is accepted, with its message. */
export interface Candidate {
  order: OrderRecord
  /** Its document, which Redis keeps and the client gets. */
  document: string
  message: OrderPlaced
  version: OrderPlacedVersion
  origin: Origin
}

/** Makes a candidate of a request, accepted `at` that time. `taxRate` is decimal text; the order keeps it. */
export function toCandidate(body: NewOrder, taxRate: string, origin: Origin, at = isoNow()): Candidate {
  const order = newRecord(body.order_id, canonicalAmount(body.amount), at, toDetails(body))
  return {
    order,
    document: renderDocument(order),
    message: toPlaced(order, taxRate),
    version: versionOf(order),
    origin
  }
}
