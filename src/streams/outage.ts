import { setTimeout as delay } from 'node:timers/promises'
import type { Availability } from '../stores/availability.ts'
import { type StoreName, StoreRefused, StoreUnavailable } from '../stores/errors.ts'

/** How much longer a store is waited for when the worker stops: messages in hand may need only a moment of it (ms). */
const LAST_WAIT = 3000

/** Longest pause between two tries while a store refuses (ms). */
const LONGEST_PAUSE = 2000

/** What a function does while a store is away: it waits, spends no attempts, and says so. */
export interface Outages {
  stores: Record<StoreName, Availability>
  /** The store that is being waited for. */
  readonly waitingFor: StoreName | undefined
  /** Waits until the store that `cause` names is back; false when the worker stops and it does not come back in time. */
  pause: (cause: Error) => Promise<boolean>
  /**
   * Does `work` again and again while a store is away. Throws any other error, and the outage when the worker stops: a
   * moment after that, or as soon as `until` is aborted.
   */
  ride: <T>(work: () => Promise<T>, until?: AbortSignal) => Promise<T>
}

export function createOutages(stores: Record<StoreName, Availability>, stopping: AbortSignal): Outages {
  const waiting = new Map<StoreName, number>()
  const over = new AbortController()
  stopping.addEventListener('abort', () => setTimeout(() => over.abort(), LAST_WAIT).unref(), { once: true })
  const pause = async (cause: Error, attempt = 0, until = over.signal) => {
    if (!(cause instanceof StoreUnavailable)) return !until.aborted
    waiting.set(cause.store, (waiting.get(cause.store) ?? 0) + 1)
    try {
      // A store that answers and still refuses (it is read-only, say) must not be asked in a tight loop.
      await delay(Math.min(50 * 2 ** attempt, LONGEST_PAUSE), undefined, { signal: until }).catch(() => {})
      await stores[cause.store].untilUp(until)
    } finally {
      waiting.set(cause.store, (waiting.get(cause.store) ?? 1) - 1)
    }
    return !until.aborted
  }
  return {
    stores,
    get waitingFor() {
      return [...waiting].find(([, count]) => count > 0)?.[0]
    },
    pause: cause => pause(cause),
    ride: async (work, until) => {
      for (let attempt = 0; ; attempt++) {
        try {
          return await work()
        } catch (error) {
          if (!(error instanceof StoreUnavailable) || !(await pause(error, attempt, until))) throw error
        }
      }
    }
  }
}

/**
 * Whether an error tells of an outage rather than of the messages: the store refuses, or does not even answer its own
 * ping. When the ping answers, the failure is the messages'.
 */
export async function isOutage({ stores }: Outages, cause: Error): Promise<boolean> {
  if (cause instanceof StoreRefused) return true
  return cause instanceof StoreUnavailable && !(await stores[cause.store].check())
}
