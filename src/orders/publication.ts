import type { Keys } from '../streams/keys.ts'
import { orderEvent } from './events.ts'
import { identityOf } from './identity.ts'
import { type OrderRecord, renderDocument } from './order.ts'

/**
 * What Redis receives of a final order: its document and its event. Redis deletes the document when nobody reads it for
 * `ttl` milliseconds.
 */
export interface Publication {
  write: { key: string; value: string; ttl: number }
  event: ReturnType<typeof orderEvent>
}

/** Makes the publication of a final order. `traceparent` is the header of the request, or ''. */
export type ToPublication = (order: OrderRecord, traceparent: string) => Publication

/**
 * Creates `toPublication`. `ttl` is the time for which Redis keeps the document of a final order after its last use
 * (ms).
 */
export function createToPublication(keys: Keys, ttl: number): ToPublication {
  return (order, traceparent) => {
    const value = renderDocument(order)
    return {
      write: { key: keys.document(identityOf(order)), value, ttl },
      event: orderEvent(order, value, traceparent)
    }
  }
}
