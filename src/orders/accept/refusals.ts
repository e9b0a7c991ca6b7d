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
  /** Records that a partition refuses orders. Logs the first refusal. */
  record: (cause: StoreRefused, partition: number) => void
  /** Records that a partition accepted orders. Logs it when no partition refuses orders any more. */
  clear: (partition: number) => void
  /**
   * Returns the reason why a partition refuses orders, or refused orders in the last minute. Returns undefined when every
   * such partition has accepted orders since then.
   */
  reason: () => string | undefined
}

/** Creates the record, without a refusal. `evicts` returns whether Redis may evict orders now. */
export function createRefusals(log: FastifyBaseLogger, evicts: () => boolean): Refusals {
  const last = new Map<number, { cause: StoreRefused; at: number }>()
  /** A partition without new orders cannot show that its refusal is over. */
  const forgetOld = () => {
    const since = performance.now() - REPORTED
    for (const [partition, { at }] of last) if (at < since) last.delete(partition)
  }
  return {
    record: (cause, partition) => {
      forgetOld()
      if (last.size === 0)
        log.warn({ err: cause, partition }, 'Redis refuses orders, which are accepted in MySQL')
      last.set(partition, { cause, at: performance.now() })
    },
    clear: partition => {
      if (!last.delete(partition)) return
      forgetOld()
      if (last.size === 0) log.info('Redis takes orders again')
    },
    reason: () => {
      if (evicts()) return MayEvictOrders.reason
      forgetOld()
      const recent = [...last.values()].find(({ cause }) => !(cause instanceof MayEvictOrders))
      return recent && reasonOf(recent.cause)
    }
  }
}
