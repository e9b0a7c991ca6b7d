import type { Keys } from '../streams/keys.ts'
import { orderEvent } from './events.ts'
import { type OrderRecord, renderDocument } from './order.ts'

/**
 * The part of a final order that Redis receives: its document, with the time that it is kept unread (ms), and its
 * event.
 */
export interface Publication {
  write: { key: string; value: string; ttl: number }
  event: ReturnType<typeof orderEvent>
}

/** Makes the publication of a final order. `traceparent` is that of the request, or ''. */
export type ToPublication = (order: OrderRecord, traceparent: string) => Publication

/** Creates `toPublication`. `ttl` is how long the document of a final order is kept after its last use (ms). */
export function createToPublication(keys: Keys, ttl: number): ToPublication {
  return (order, traceparent) => {
    const value = renderDocument(order)
    return {
      write: { key: keys.document(order.order_id), value, ttl },
      event: orderEvent(order, value, traceparent)
    }
  }
}
