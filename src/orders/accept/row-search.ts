import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable, UnexplainedStoreError } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { identityOf } from '../identity.ts'
import type { OrderRecord } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { Candidate } from './candidate.ts'

/** The most batches of candidates that one query searches for, and the most queries at the same time. */
const SEARCH_SIZE = 16
const SEARCH_IN_FLIGHT = 4

/** The rows of the orders that have one, by identity. */
export type Rows = ReadonlyMap<string, OrderRecord>

/**
 * Creates the search for orders that have a row already. Each partition has batches of its own, so that one that is slow
 * delays no other. With several partitions, they share their queries.
 */
export function createRowSearch({
  store,
  mysql,
  keys
}: {
  store: OrderStore
  mysql: MysqlStore
  keys: Keys
}): (candidates: Candidate[]) => Promise<Rows> {
  if (keys.partitions === 1) return candidates => findRows(store, mysql, candidates)
  return createMicroBatch<Candidate[], Rows>({
    size: SEARCH_SIZE,
    inFlight: SEARCH_IN_FLIGHT,
    run: async batches => {
      const rows = await findRows(store, mysql, batches.flat())
      return batches.map(() => rows)
    }
  })
}

/**
 * Finds the orders that have a row already. An id stays unique after Redis has deleted the document of its order. Finds
 * none while MySQL is unavailable; the worker then detects the existing row.
 */
async function findRows(
  store: OrderStore,
  mysql: MysqlStore,
  candidates: Candidate[]
): Promise<Map<string, OrderRecord>> {
  const ids = candidates.map(({ order }) => identityOf(order))
  for (let attempt = 1; ; attempt++) {
    try {
      const known = await store.findKnown(ids)
      return known.length === 0 ? new Map() : await store.find(known)
    } catch (error) {
      if (error instanceof UnexplainedStoreError) return new Map()
      if (!(error instanceof StoreUnavailable)) throw error
      if (attempt === 2 || !(await mysql.availability.stillUp())) return new Map()
    }
  }
}
