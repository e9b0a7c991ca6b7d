import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Availability } from '../../stores/availability.ts'
import {
  NoFreeConnection,
  NotPermitted,
  type StoreName,
  StoreRefused,
  StoreUnavailable,
  UnexplainedStoreError
} from '../../stores/errors.ts'
import { reasonOf } from '../../stores/reason.ts'
import { HandlerTimeout } from '../batch/timeout.ts'
import { TerminalError } from '../function.ts'

/** How much longer a store is waited for when the worker stops: messages in hand may need only a moment of it (ms). */
const LAST_WAIT = 3000

/** What is logged, once, of a store that answers and is waited for. */
const NO_WRITES = 'the function waits for a store that takes no writes'
const NO_CONNECTION = 'the function waits for a free connection'
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
  const said: Record<StoreName, Set<string>> = { redis: new Set(), mysql: new Set() }
  const causes: Partial<Record<StoreName, StoreUnavailable>> = {}
  const over = new AbortController()
  stopping.addEventListener('abort', () => setTimeout(() => over.abort(), LAST_WAIT).unref(), { once: true })

  /** Logs once why the function waits for a store that answers; the breaker logs that one does not. */
  const tell = (cause: StoreUnavailable, line: string) => {
    const answers = cause instanceof StoreRefused || stores[cause.store].up
    const text = textOf(cause, line)
    if (!answers || said[cause.store].has(text)) return
    said[cause.store].add(text)
    log.warn({ err: cause, store: cause.store }, text)
  }

  const wait = (until = over.signal, line = NO_WRITES): Wait => {
    let store: StoreName | undefined
    let length = SHORTEST_PAUSE
    const end = () => {
      if (store && --waiting[store] === 0 && said[store].size > 0) {
        said[store].clear()
        log.info({ store }, 'the function goes on')
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
    ride: (work, until) => ride(work, wait(until), stores)
  }
}

async function ride<T>(work: () => Promise<T>, wait: Wait, stores: Outages['stores']): Promise<T> {
  try {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        const outage = error instanceof StoreUnavailable ? error : await outageOf({ stores }, error)
        if (!outage || !(await wait.pause(outage))) throw error
      }
    }
  } finally {
    wait.end()
  }
}

/** What is logged of an outage, or `line`. */
function textOf(cause: StoreUnavailable, line: string): string {
  if (cause instanceof NoFreeConnection) return NO_CONNECTION
  return cause instanceof NotPermitted ? NOT_PERMITTED : line
}

/** How far down an error is looked for the error of a store that is its cause. */
const DEPTH = 5

/** The error of a store that an error is, or that its author has wrapped into it; none in a `TerminalError`, which is final. */
export function storeErrorIn(error: unknown): StoreUnavailable | UnexplainedStoreError | undefined {
  let cause = error
  for (let depth = 0; depth < DEPTH && cause instanceof Error; depth++, cause = cause.cause) {
    if (cause instanceof TerminalError) return undefined
    if (cause instanceof StoreUnavailable || cause instanceof UnexplainedStoreError) return cause
  }
  return undefined
}

/**
 * The outage that an error comes of, or undefined when the failure is the messages': then the store answers its own ping,
 * and a write that has nothing to do with them. A handler that has run out of time may have waited for a store.
 */
export async function outageOf(
  { stores }: Pick<Outages, 'stores'>,
  error: unknown
): Promise<StoreUnavailable | undefined> {
  if (error instanceof HandlerTimeout) return firstDown(stores, error)
  const found = storeErrorIn(error)
  if (!found || found instanceof StoreRefused) return found
  if (await stores[found.store].takesWrites()) return undefined
  return found instanceof StoreUnavailable ? found : new StoreRefused(found.store, found)
}

async function firstDown(
  stores: Outages['stores'],
  error: HandlerTimeout
): Promise<StoreUnavailable | undefined> {
  const names = ['redis', 'mysql'] as const
  const answers = await Promise.all(names.map(name => stores[name].check()))
  const down = names.find((_, index) => !answers[index])
  return down && new StoreUnavailable(down, error)
}
