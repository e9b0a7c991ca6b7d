import type { FastifyBaseLogger } from 'fastify'
import { StoreRefused } from '../../stores/errors.ts'
import { reasonOf } from '../../stores/reason.ts'

/** Redis could evict an order that waits, so the service itself refuses to accept orders there. */
export class MayEvictOrders extends StoreRefused {
  override name = 'MayEvictOrders'
  static readonly reason = 'Redis may evict orders that wait (maxmemory-policy); set it to volatile-lru'

  constructor() {
    super('redis', new Error(MayEvictOrders.reason))
  }
}

/** The time for which a refusal is reported (ms): without new orders, nothing shows that it is over. */
const REPORTED = 60_000

/** Watches whether a Redis that answers refuses orders, which are then accepted in MySQL. */
export interface Refusals {
  /** Records a refusal. Logs the first one. */
  record: (cause: StoreRefused) => void
  /** Records that Redis accepted orders. Logs it after a refusal. */
  clear: () => void
  /**
   * Returns the reason why Redis refused orders in the last minute; undefined when it did not, or has accepted some
   * since.
   */
  reason: () => string | undefined
}

/** Creates a watch that has seen no refusal. `evicts` states whether Redis may evict orders now. */
export function createRefusals(log: FastifyBaseLogger, evicts: () => boolean): Refusals {
  let last: { cause: StoreRefused; at: number } | undefined
  return {
    record: cause => {
      if (!last) log.warn({ err: cause }, 'Redis refuses orders, which are accepted in MySQL')
      last = { cause, at: performance.now() }
    },
    clear: () => {
      if (last) log.info('Redis takes orders again')
      last = undefined
    },
    reason: () => {
      if (evicts()) return MayEvictOrders.reason
      const recent = last && performance.now() - last.at < REPORTED ? last.cause : undefined
      return recent && !(recent instanceof MayEvictOrders) ? reasonOf(recent) : undefined
    }
  }
}
