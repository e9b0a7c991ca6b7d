import { endOfTurn } from '../../async/end-of-turn.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import { OrderNotFound } from '../errors.ts'
import { parseIdentity } from '../identity.ts'
import { type OrderRecord, renderDocument, statusOf } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { Documents } from './documents.ts'
import type { RecentDocuments } from './recent-documents.ts'

/** The most orders of one micro-batch. */
const FIND_SIZE = 200
/** The most micro-batches that run at the same time. */
const FIND_IN_FLIGHT = 2

/** The statuses in which an order never changes again. */
const NEVER_CHANGES = new Set<OrderRecord['status']>(['completed', 'cancelled'])

/** An order that was found. */
export interface FoundOrder {
  document: string
  /** The source of the document: `hit` for Redis or this process's memory, `miss` for MySQL. */
  cache: 'hit' | 'miss'
}

/** Reads orders, for one api process. */
export interface OrderReader {
  /**
   * Reads the present document of an order.
   * @throws {OrderNotFound} when neither store has the order.
   * @throws {StoreUnavailable} when a store that may have the order is unavailable.
   */
  read: (identity: string) => Promise<FoundOrder>
}

/** The dependencies of the reader. */
export interface OrderReaderOptions {
  documents: Documents
  recent: RecentDocuments
  store: OrderStore
}

/**
 * Creates the reader. It reads from memory, then from Redis. It reads from MySQL when Redis has no document, or when
 * the document in Redis may be outdated.
 */
export function createOrderReader({ documents, recent, store }: OrderReaderOptions): OrderReader {
  const find = createMicroBatch<string, OrderRecord | undefined>({
    size: FIND_SIZE,
    inFlight: FIND_IN_FLIGHT,
    run: async identities => {
      const found = await store.find(identities)
      return identities.map(identity => found.get(identity))
    }
  })

  /**
   * Returns the newest document of an order that has `document` in Redis. A `processing` document may be outdated: a
   * worker may have written the row, and not settled the message yet. The function therefore also reads MySQL. While
   * MySQL is unavailable, it returns the document of Redis.
   */
  const confirm = async (identity: string, document: string): Promise<FoundOrder> => {
    const status = statusOf(document)
    if (NEVER_CHANGES.has(status)) recent.keep(identity, document)
    // A redrive can still complete a failed order. It then writes the new document to Redis.
    if (status !== 'processing') return { document, cache: 'hit' }
    const row = await find(identity).catch(orUnavailable)
    if (!row || row instanceof StoreUnavailable || row.status === 'processing')
      return { document, cache: 'hit' }
    const newer = renderDocument(row)
    // Memory keeps the newer document: the next read must not return an older document, even while MySQL is
    // unavailable.
    if (NEVER_CHANGES.has(row.status)) recent.keep(identity, newer)
    return { document: newer, cache: 'miss' }
  }

  return {
    read: async identity => {
      const known = recent.get(identity)
      if (known !== undefined) {
        await endOfTurn()
        return { document: known, cache: 'hit' }
      }
      const cached = await documents.get(identity).catch(orUnavailable)
      if (typeof cached === 'string') return confirm(identity, cached)
      const row = await find(identity)
      if (row) {
        // No caller waits for this write. Another part of the service logs that Redis is unavailable.
        if (row.status !== 'processing') documents.putBack(row).catch(() => {})
        return { document: renderDocument(row), cache: 'miss' }
      }
      if (cached instanceof StoreUnavailable) throw cached
      throw new OrderNotFound(parseIdentity(identity).order_id)
    }
  }
}

/** Returns the error of an unavailable store as a value. Throws any other error. */
function orUnavailable(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  throw error
}
