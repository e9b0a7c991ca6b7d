import { StoreUnavailable } from '../../stores/errors.ts'
import type { Candidate } from './candidate.ts'

/**
 * The longest time from the acceptance of an order, which the api sets first, to its message or its row. The unit is the
 * longest time of a call to a store (STORE_TIMEOUT_MS). A list relies on this limit.
 */
export const LONGEST_ACCEPT = 10

/** The time that the last step may take, in the same unit: the call that appends, or the commit of a spill. */
const LAST_STEP = 2

/**
 * Checks that the last step of an accept ends in time. `timeout` is the longest time of a call to a store (ms).
 * @throws {StoreUnavailable} when one of the orders has waited too long for the stores.
 */
export function checkAge(candidates: Candidate[], timeout: number): void {
  const earliest = new Date(Date.now() - (LONGEST_ACCEPT - LAST_STEP) * timeout).toISOString()
  if (candidates.every(({ order }) => order.created_at >= earliest)) return
  throw new StoreUnavailable('mysql', new Error('the order has waited too long for the stores'))
}
