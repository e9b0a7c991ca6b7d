import type { NewOrder } from '../../../schema/http/order.ts'
import type { OrderPlaced } from '../../../schema/messages/order-placed.ts'
import { isoNow } from '../../async/clock.ts'
import { canonicalAmount } from '../money.ts'
import { newRecord, type OrderRecord, renderDocument } from '../order.ts'

/** Where a request came from; it travels with the message. */
export interface Origin {
  requestId: string
  /** W3C traceparent, or '' for none. */
  traceparent: string
}

/** An order as it will stand if it is accepted, and the message about it. */
export interface Candidate {
  order: OrderRecord
  /** Its document, which Redis keeps and the client is answered. */
  document: string
  message: OrderPlaced
  origin: Origin
}

/** `taxRate` is decimal text: the rate in force now, which the order keeps. */
export function toCandidate({ order_id, amount }: NewOrder, taxRate: string, origin: Origin): Candidate {
  const now = isoNow()
  const canonical = canonicalAmount(amount)
  const order = newRecord(order_id, canonical, now)
  return {
    order,
    document: renderDocument(order),
    message: { order_id, amount: canonical, tax_rate: taxRate, accepted_at: now },
    origin
  }
}
