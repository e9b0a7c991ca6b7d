import type { FastifyBaseLogger } from 'fastify'
import { reasonOf, type StoreRefused } from '../../stores/errors.ts'

/** How long after the last refusal it is still reported, since no order may come to show that it is over (ms). */
const REPORTED = 60_000

/** Whether a Redis that answers refuses orders, which are accepted in MySQL then. */
export interface Refusals {
  /** Notes a refusal; the first one is logged. */
  one: (cause: StoreRefused) => void
  /** Notes that orders were taken; after a refusal that is logged. */
  none: () => void
  /** Why orders were refused lately. */
  reason: () => string | undefined
}

export function createRefusals(log: FastifyBaseLogger): Refusals {
  let last: { cause: StoreRefused; at: number } | undefined
  return {
    one: cause => {
      if (!last) log.warn({ err: cause }, 'Redis refuses orders, which are accepted in MySQL')
      last = { cause, at: performance.now() }
    },
    none: () => {
      if (last) log.info('Redis takes orders again')
      last = undefined
    },
    reason: () => (last && performance.now() - last.at < REPORTED ? reasonOf(last.cause) : undefined)
  }
}
