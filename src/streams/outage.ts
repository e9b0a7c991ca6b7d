import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Availability } from '../stores/availability.ts'
import { NotPermitted, reasonOf, type StoreName, StoreRefused, StoreUnavailable } from '../stores/errors.ts'

/** How much longer a store is waited for when the worker stops: messages in hand may need only a moment of it (ms). */
const LAST_WAIT = 3000

/** What is logged, once, of a store that answers and is waited for. */
const NO_WRITES = 'the function waits for a store that takes no writes'
const NOT_PERMITTED = 'the function waits for a store that does not permit what it needs'

/** Shortest and longest pause between two tries while a store refuses (ms). */
const SHORTEST_PAUSE = 50
const LONGEST_PAUSE = 2000

/** How one piece of work waits for a store, from its first failure until it gets through. */
export interface Wait {
  /**
   * Waits until the store that `cause` names is back, and each time longer for one that answers and still refuses. False
   * when the worker stops and it does not come back in time.
   */
  pause: (cause: StoreUnavailable) => Promise<boolean>
  /** To be called when the work has got through, or has failed for a reason of its own. */
  end: () => void
}

/** What a function does while a store is away: it waits, spends no attempts, and says so. */
export interface Outages {
  stores: Record<StoreName, Availability>
  /** The store that is being waited for. */
  readonly waitingFor: StoreName | undefined
  /** Why it is waited for, as health says it. */
  readonly reason: string | undefined
  /** For one piece of work; it waits for nothing yet. `line` is logged of a store that answers, and fails that work. */
  wait: (until?: AbortSignal, line?: string) => Wait
  /**
   * Does `work` again and again while a store is away. Throws any other error, and the outage when the worker stops: a
   * moment after that, or as soon as `until` is aborted.
   */
  ride: <T>(work: () => Promise<T>, until?: AbortSignal) => Promise<T>
}

export function createOutages(
  stores: Record<StoreName, Availability>,
  stopping: AbortSignal,
  log: FastifyBaseLogger
): Outages {
  const waiting: Record<StoreName, number> = { redis: 0, mysql: 0 }
  const refusing = new Set<StoreName>()
  const causes: Partial<Record<StoreName, StoreUnavailable>> = {}
  const over = new AbortController()
  stopping.addEventListener('abort', () => setTimeout(() => over.abort(), LAST_WAIT).unref(), { once: true })

  /** Tells once of a store that answers, and refuses what is written or leaves it hanging; of one that is away its breaker tells. */
  const tell = (cause: StoreUnavailable, line: string) => {
    const answers = cause instanceof StoreRefused || stores[cause.store].up
    if (!answers || refusing.has(cause.store)) return
    refusing.add(cause.store)
    log.warn({ err: cause, store: cause.store }, cause instanceof NotPermitted ? NOT_PERMITTED : line)
  }

  const wait = (until = over.signal, line = NO_WRITES): Wait => {
    let store: StoreName | undefined
    let length = SHORTEST_PAUSE
    const end = () => {
      if (store && --waiting[store] === 0 && refusing.delete(store))
        log.info({ store }, 'the function goes on')
      store = undefined
    }
    const pause = async (cause: StoreUnavailable) => {
      if (cause.store !== store) {
        end()
        store = cause.store
        waiting[store]++
        length = SHORTEST_PAUSE
      }
      causes[cause.store] = cause
      tell(cause, line)
      // A store that answers and still refuses (it is read-only, say) must not be asked in a tight loop.
      await delay(length, undefined, { signal: until }).catch(() => {})
      length = Math.min(length * 2, LONGEST_PAUSE)
      await stores[cause.store].untilUp(until)
      return !until.aborted
    }
    return { pause, end }
  }

  const waitingFor = () => (['redis', 'mysql'] as const).find(store => waiting[store] > 0)
  return {
    stores,
    get waitingFor() {
      return waitingFor()
    },
    get reason() {
      const store = waitingFor()
      const cause = store && stores[store].up ? causes[store] : undefined
      return cause ? reasonOf(cause) : store && `${store} is not available`
    },
    wait,
    ride: (work, until) => ride(work, wait(until))
  }
}

async function ride<T>(work: () => Promise<T>, wait: Wait): Promise<T> {
  try {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || !(await wait.pause(error))) throw error
      }
    }
  } finally {
    wait.end()
  }
}

/**
 * Whether an error tells of an outage rather than of the messages: the store refuses, or does not answer its own ping, or
 * a write that has nothing to do with them. When it answers both, the failure is the messages'.
 */
export async function isOutage({ stores }: Outages, cause: StoreUnavailable): Promise<boolean> {
  return cause instanceof StoreRefused || !(await stores[cause.store].takesWrites())
}
