import type { NewOrder } from '../../../schema/http/order.ts'
import type { OrderPlaced } from '../../../schema/messages/order-placed.ts'
import { isoNow } from '../../async/clock.ts'
import { canonicalAmount } from '../money.ts'
import { newRecord, type OrderRecord, renderDocument } from '../order.ts'

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
  origin: Origin
}

/** Makes a candidate of a request. `taxRate` is decimal text; the order keeps it. */
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
