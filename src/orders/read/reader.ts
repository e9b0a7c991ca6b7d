import { endOfTurn } from '../../async/end-of-turn.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import { OrderNotFound } from '../errors.ts'
import { type OrderRecord, renderDocument, statusOf } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { Documents } from './documents.ts'
import type { RecentDocuments } from './recent-documents.ts'

/** Most ids of one shared query, and most such queries in flight. */
const FIND_SIZE = 200
const FIND_IN_FLIGHT = 2

/** The statuses of orders that never change again. */
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
   * Reads an order as it is now.
   * @throws {OrderNotFound} when neither store has it.
   * @throws {StoreUnavailable} when the store that may have it is unavailable.
   */
  read: (id: string) => Promise<FoundOrder>
}

/** The dependencies of the reader. */
export interface OrderReaderOptions {
  documents: Documents
  recent: RecentDocuments
  store: OrderStore
}

/** Creates the reader. It asks memory, then Redis, then MySQL when Redis has no document or one that may be behind. */
export function createOrderReader({ documents, recent, store }: OrderReaderOptions): OrderReader {
  const find = createMicroBatch<string, OrderRecord | undefined>({
    size: FIND_SIZE,
    inFlight: FIND_IN_FLIGHT,
    run: async ids => {
      const found = await store.find(ids)
      return ids.map(id => found.get(id))
    }
  })

  /**
   * The newest document, given the one in Redis. A `processing` document may be behind: its worker may have written the
   * row and not settled yet. MySQL confirms it; while MySQL is unavailable, the document of Redis is the answer.
   */
  const confirm = async (id: string, document: string): Promise<FoundOrder> => {
    const status = statusOf(document)
    if (NEVER_CHANGES.has(status)) recent.keep(id, document)
    // A failed order can still be completed by a redrive, which writes its document.
    if (status !== 'processing') return { document, cache: 'hit' }
    const row = await find(id).catch(orUnavailable)
    if (!row || row instanceof StoreUnavailable || row.status === 'processing')
      return { document, cache: 'hit' }
    const newer = renderDocument(row)
    // The next read must not get an older document, even if MySQL is unavailable by then.
    if (NEVER_CHANGES.has(row.status)) recent.keep(id, newer)
    return { document: newer, cache: 'miss' }
  }

  return {
    read: async id => {
      const known = recent.get(id)
      if (known !== undefined) {
        await endOfTurn()
        return { document: known, cache: 'hit' }
      }
      const cached = await documents.get(id).catch(orUnavailable)
      if (typeof cached === 'string') return confirm(id, cached)
      const row = await find(id)
      if (row) {
        // No caller waits for the cache, and an unavailable Redis is reported elsewhere.
        if (row.status !== 'processing') documents.putBack(row).catch(() => {})
        return { document: renderDocument(row), cache: 'miss' }
      }
      if (cached instanceof StoreUnavailable) throw cached
      throw new OrderNotFound(id)
    }
  }
}

/** Returns the error of an unavailable store as a value. Throws any other error. */
function orUnavailable(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  throw error
}
