import { endOfTurn } from '../../async/end-of-turn.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import { OrderNotFound } from '../errors.ts'
import { isCompleted, isFinal, type OrderRecord, renderDocument } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { Documents } from './documents.ts'
import type { RecentDocuments } from './recent-documents.ts'

/** Most ids that one shared query looks up, and most such queries under way. */
const FIND_SIZE = 200
const FIND_IN_FLIGHT = 2

export interface FoundOrder {
  document: string
  /** Whether a cache answered (`hit`: Redis, or what was just read from it) or MySQL (`miss`). */
  cache: 'hit' | 'miss'
}

export interface OrderReader {
  /**
   * The order as it stands.
   * @throws {OrderNotFound} when both stores said that there is none.
   * @throws {StoreUnavailable} when the only store that might know it is away.
   */
  read: (id: string) => Promise<FoundOrder>
}

export interface OrderReaderOptions {
  documents: Documents
  recent: RecentDocuments
  store: OrderStore
}

/** Reads orders: what was just read, then Redis, then MySQL for what Redis does not have or cannot be sure of. */
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
   * The newest document, given the one in Redis: a final one stands; a `processing` one may be behind, when its
   * worker wrote the row and has not settled yet, so MySQL is asked. While MySQL is away it stands as it is.
   */
  const confirm = async (id: string, document: string): Promise<FoundOrder> => {
    if (isCompleted(document)) recent.keep(id, document)
    if (isFinal(document)) return { document, cache: 'hit' }
    const row = await find(id).catch(unlessAway)
    if (!row || row instanceof StoreUnavailable || row.status === 'processing')
      return { document, cache: 'hit' }
    const newer = renderDocument(row)
    // Whoever asks again gets no older one, though MySQL be away by then and Redis not told yet.
    if (row.status === 'completed') recent.keep(id, newer)
    return { document: newer, cache: 'miss' }
  }

  return {
    read: async id => {
      const known = recent.get(id)
      if (known !== undefined) {
        await endOfTurn()
        return { document: known, cache: 'hit' }
      }
      const cached = await documents.get(id).catch(unlessAway)
      if (typeof cached === 'string') return confirm(id, cached)
      const row = await find(id)
      if (row) {
        // Nobody waits for the cache; a Redis that is away has said so already.
        if (row.status !== 'processing') documents.putBack(row).catch(() => {})
        return { document: renderDocument(row), cache: 'miss' }
      }
      if (cached instanceof StoreUnavailable) throw cached
      throw new OrderNotFound(id)
    }
  }
}

/** Turns "that store is away" into a value to decide on; any other error goes on. */
function unlessAway(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  throw error
}
