import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { StoreState } from '../../stores/availability.ts'
import {
  NoFreeConnection,
  NotPermitted,
  type StoreName,
  StoreRefused,
  StoreUnavailable
} from '../../stores/errors.ts'
import { reasonOf } from '../../stores/reason.ts'
import { findOutage } from './find-outage.ts'

/**
 * The longest time that a stopping worker waits for a store (ms). Messages in flight may need the store only briefly.
 */
const LAST_WAIT = 3000

/** Log lines while a function waits for a store that answers. Each line is logged once. */
const NO_WRITES = 'the function waits for a store that refuses writes'
const NO_CONNECTION = 'the function waits for a free connection'
const NOT_PERMITTED = 'the function waits for a store that does not permit what it needs'

/** Shortest and longest pause between two tries while a store refuses (ms). */
const SHORTEST_PAUSE = 50
const LONGEST_PAUSE = 2000

/** The wait of one operation for a store, from the first failure of the operation until it succeeds. */
export interface Wait {
  /**
   * Waits until the store that `cause` names is available. The waits become longer while the store answers and refuses.
   * Resolves to false when the worker stops first.
   */
  pause: (cause: StoreUnavailable) => Promise<boolean>
  /** Ends the wait: the operation succeeded, or failed for another reason than a store. */
  end: () => void
}

/** The waits of a function while a store is unavailable. A wait uses no attempt, and health reports it. */
export interface Outages {
  stores: Record<StoreName, StoreState>
  /** The store that the function waits for; undefined when it does not wait. */
  readonly waitingFor: StoreName | undefined
  /** The reason why the function waits, for health; undefined when it does not wait. */
  readonly reason: string | undefined
  /** Creates the wait of one operation. `line` is logged when the store answers but the operation fails. */
  wait: (until?: AbortSignal, line?: string) => Wait
  /**
   * Repeats `work` while a store is unavailable. Throws any other error. Throws the outage when `until` aborts; by
   * default, a moment after the worker stops.
   */
  repeat: <T>(work: () => Promise<T>, until?: AbortSignal) => Promise<T>
}

/** Creates the waits of one consumer. `stopping` aborts when its worker stops. */
export function createOutages(
  stores: Record<StoreName, StoreState>,
  stopping: AbortSignal,
  log: FastifyBaseLogger
): Outages {
  const waiting: Record<StoreName, number> = { redis: 0, mysql: 0 }
  const logged: Record<StoreName, Set<string>> = { redis: new Set(), mysql: new Set() }
  const causes: Partial<Record<StoreName, StoreUnavailable>> = {}
  const over = new AbortController()
  stopping.addEventListener('abort', () => setTimeout(() => over.abort(), LAST_WAIT).unref(), { once: true })

  /**
   * Logs once why the function waits for a store that answers. The circuit breaker logs a store that does not answer.
   */
  const logOnce = (cause: StoreUnavailable, line: string) => {
    const answers = cause instanceof StoreRefused || stores[cause.store].up
    const text = textOf(cause, line)
    if (!answers || logged[cause.store].has(text)) return
    logged[cause.store].add(text)
    log.warn({ err: cause, store: cause.store }, text)
  }

  const wait = (until = over.signal, line = NO_WRITES): Wait => {
    let store: StoreName | undefined
    let length = SHORTEST_PAUSE
    const end = () => {
      if (store && --waiting[store] === 0 && logged[store].size > 0) {
        logged[store].clear()
        log.info({ store }, 'the function continues')
      }
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
      logOnce(cause, line)
      // Does not call a store that answers and refuses, such as a read-only one, in a tight loop.
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
    repeat: (work, until) => repeat(work, wait(until), stores)
  }
}

async function repeat<T>(work: () => Promise<T>, wait: Wait, stores: Outages['stores']): Promise<T> {
  try {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        const outage = error instanceof StoreUnavailable ? error : await findOutage(stores, error)
        if (!outage || !(await wait.pause(outage))) throw error
      }
    }
  } finally {
    wait.end()
  }
}

/** Returns the log line for an outage: `line`, unless the cause has a line of its own. */
function textOf(cause: StoreUnavailable, line: string): string {
  if (cause instanceof NoFreeConnection) return NO_CONNECTION
  return cause instanceof NotPermitted ? NOT_PERMITTED : line
}
