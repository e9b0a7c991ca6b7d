import { TooManyWaiting } from '../errors.ts'
import { statusOf } from '../order.ts'
import type { EventFilter, Followed } from './event-cursor.ts'
import { OrderFeed, type OrderFeedOptions } from './order-feed.ts'

/** The time for which the events are still read when nobody waits for them any more (ms). */
const IDLE = 30_000

/** The most callers of one process. Each takes a connection and some memory until it ends. */
export const MOST_WAITING = 20_000

/** One caller that waits until an order is final. */
export interface OrderWait<T> {
  /** The order when the wait began. */
  first: T
  /** Resolves to the document of the final order. Resolves to undefined when the wait ends before. */
  final: Promise<string | undefined>
  /** Ends the wait. */
  end: () => void
}

/** One caller that follows the events of many orders. */
export interface Following {
  /** Returns the next event; undefined when there is none yet. */
  next: () => Followed | undefined
  /** Returns the positions after the events so far, as text. */
  positions: () => string
  end: () => void
}

/** What a caller is called back for. */
export interface FollowListener {
  /** There may be a next event. */
  onMore: () => void
  /** The process stops. */
  onStop: () => void
}

/** The dependencies of a watch. */
export interface OrderWatchOptions extends OrderFeedOptions {
  /** Reads the present document of an order. */
  read: (identity: string) => Promise<{ document: string }>
}

/**
 * Lets callers of one process wait for orders, and follow their events. It reads the events only while somebody waits,
 * and for a short time after that.
 */
export class OrderWatch {
  readonly #options: OrderWatchOptions
  /** Ends each caller. */
  readonly #ends = new Set<() => void>()
  #feed: OrderFeed | undefined
  #idle: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: OrderWatchOptions) {
    this.#options = options
  }

  /** The number of callers that wait or follow now. */
  get size(): number {
    return this.#ends.size
  }

  /**
   * Checks that one more caller may wait or follow.
   * @throws {TooManyWaiting} when there are as many as a process allows.
   */
  requireRoom(): void {
    if (this.#isFull()) throw new TooManyWaiting(MOST_WAITING)
  }

  /**
   * Reads an order with `read`, and then waits until it is final. An order that is final already needs no wait. With too
   * many callers, the wait ends at once.
   * @throws the error of `read`.
   */
  async wait<T extends { document: string }>(
    identity: string,
    read: () => Promise<T>
  ): Promise<OrderWait<T>> {
    const { promise: final, resolve } = Promise.withResolvers<string | undefined>()
    const end = () => resolve(undefined)
    if (this.#stopped || this.#isFull()) end()
    else {
      const [feed, leave] = this.#join(end)
      const listener = createListener(identity, this.#options.read, resolve)
      feed.listeners.add(listener)
      void final.then(() => {
        feed.listeners.remove(listener)
        leave()
      })
      await feed.tried(this.#options.keys.partitionOf(identity))
    }
    try {
      const first = await read()
      if (isFinal(first.document)) resolve(first.document)
      return { first, final, end }
    } catch (error) {
      end()
      throw error
    }
  }

  /**
   * Follows events from now on, or from the positions in the text `after`. While the process stops, there are none.
   * @throws {StoreUnavailable} when the events of a partition cannot be read.
   */
  async follow(
    filter: EventFilter,
    after: string | undefined,
    { onMore, onStop }: FollowListener
  ): Promise<Following> {
    const nothing = { next: () => undefined, positions: () => after ?? '', end: () => {} }
    if (this.#stopped) return nothing
    const ends: (() => void)[] = []
    const end = () => {
      for (const each of ends) each()
    }
    const [feed, leave] = this.#join(() => {
      end()
      onStop()
    })
    ends.push(leave)
    try {
      await feed.ready()
    } catch (error) {
      end()
      if (!this.#stopped) throw error
    }
    if (this.#stopped) return nothing
    const cursor = feed.follow(filter, after, () => setImmediate(onMore))
    ends.push(feed.subscribers.add({ filter, cursor, wake: onMore }))
    return { next: () => cursor.next(), positions: () => cursor.positions(), end }
  }

  /** Ends every caller. Later waits end at once. */
  stop(): void {
    this.#stopped = true
    for (const end of [...this.#ends]) end()
    this.#close()
  }

  #isFull(): boolean {
    return this.#ends.size >= MOST_WAITING
  }

  /** Opens the feed for one more caller, whom `end` ends. Returns the feed and the function that leaves it. */
  #join(end: () => void): [OrderFeed, () => void] {
    clearTimeout(this.#idle)
    this.#feed ??= new OrderFeed(this.#options)
    this.#ends.add(end)
    const leave = () => {
      if (!this.#ends.delete(end) || this.#ends.size > 0 || this.#stopped) return
      this.#idle = setTimeout(() => this.#close(), IDLE).unref()
    }
    return [this.#feed, leave]
  }

  #close(): void {
    clearTimeout(this.#idle)
    this.#feed?.stop()
    this.#feed = undefined
  }
}

/** Creates the listener of one waiting caller. After a gap it reads the order again. */
function createListener(
  identity: string,
  read: OrderWatchOptions['read'],
  onFinal: (document: string) => void
) {
  let reading = false
  const readAgain = async () => {
    reading = true
    // After an error the next gap, the event or the end of the wait decides.
    const found = await read(identity).catch(() => undefined)
    reading = false
    if (found && isFinal(found.document)) onFinal(found.document)
  }
  return {
    identity,
    onEvent: ({ document }: { document: string }) => onFinal(document),
    onGap: () => {
      if (!reading) void readAgain()
    }
  }
}

function isFinal(document: string): boolean {
  return statusOf(document) !== 'processing'
}
