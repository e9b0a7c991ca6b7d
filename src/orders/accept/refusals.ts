import type { FastifyBaseLogger } from 'fastify'
import { StoreRefused } from '../../stores/errors.ts'
import { reasonOf } from '../../stores/reason.ts'

/** Redis may evict an order that waits. The service therefore accepts no orders in Redis. */
export class MayEvictOrders extends StoreRefused {
  override name = 'MayEvictOrders'
  static readonly reason = 'Redis may evict orders that wait (maxmemory-policy); set it to volatile-lru'

  constructor() {
    super('redis', new Error(MayEvictOrders.reason))
  }
}

/** An operator has released the keys in Redis. The next probe of Redis finds this, too. */
export class KeysReleased extends StoreRefused {
  override name = 'KeysReleased'

  constructor() {
    super('redis', new Error('an operator has released these keys; start with the new settings'))
  }
}

/** The time for which a refusal is reported (ms). Without new orders, the service cannot find out that it is over. */
const REPORTED = 60_000

/** Records whether Redis refuses orders while it is available. Refused orders are spilled. */
export interface Refusals {
  /** Records a refusal. Logs the first one. */
  record: (cause: StoreRefused) => void
  /** Records that Redis accepted orders. Logs this after a refusal. */
  clear: () => void
  /**
   * Returns the reason why Redis refuses orders, or refused orders in the last minute. Returns undefined when Redis has
   * accepted orders since then.
   */
  reason: () => string | undefined
}

/** Creates the record, without a refusal. `evicts` returns whether Redis may evict orders now. */
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
