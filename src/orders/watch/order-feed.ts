import type { FastifyBaseLogger } from 'fastify'
import { withDeadline } from '../../async/deadline.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { createLogReader, type LogPast, type LogReader } from '../../streams/fan-out/log-reader.ts'
import { readPositions, START, writePositions } from '../../streams/fan-out/positions.ts'
import { type Entry, fieldOf } from '../../streams/group/delivery.ts'
import type { Keys } from '../../streams/keys.ts'
import { EVENTS } from '../../streams/names.ts'
import { readOrderEvent } from '../events.ts'
import { parseIdentity } from '../identity.ts'
import { EventCursor, type EventFilter } from './event-cursor.ts'
import { EventSubscribers } from './event-subscribers.ts'
import { EventWindow, type WindowEvent } from './event-window.ts'
import { OrderListeners } from './order-listeners.ts'

/** The most events and bytes of the window, over all partitions. */
const WINDOW = { items: 100_000, bytes: 32 * 1024 * 1024 }
/** The most past events that a partition starts with. */
const MOST_PAST = 10_000

/**
 * How often waiting callers read their orders (ms). While Redis refuses writes, an order may be final in MySQL and have no
 * event yet.
 */
const READ_AGAIN_EVERY = 5000

/** The longest time that `ready` takes (ms). The first read of a process loads past events. */
const READY_WITHIN = 5000

const NOT_YET = new Error('the events of a partition could not be read in time')

/** The dependencies of a feed. */
export interface OrderFeedOptions {
  redis: RedisStore
  keys: Keys
  log: FastifyBaseLogger
}

/** The reader of one partition, and what callers wait for at its start. */
interface Partition {
  reader: LogReader
  /** Resolves when the first read has succeeded or failed. */
  tried: PromiseWithResolvers<void>
  /** Whether a read has succeeded. */
  isReading: boolean
  failure: unknown
}

/** The events of orders in all partitions, read once for all waiters and streams of a process. It begins to read at once. */
export class OrderFeed {
  readonly listeners = new OrderListeners()
  readonly subscribers = new EventSubscribers()
  readonly #options: OrderFeedOptions
  readonly #window = new EventWindow(WINDOW)
  /** The newest position of each partition. */
  readonly #heads: string[]
  readonly #partitions: Partition[]
  readonly #timer: NodeJS.Timeout

  constructor(options: OrderFeedOptions) {
    this.#options = options
    const { partitions } = options.keys
    this.#heads = Array.from({ length: partitions }, () => START)
    this.#partitions = Array.from({ length: partitions }, (_, partition) => this.#open(partition))
    for (const { reader } of this.#partitions) reader.start()
    this.#timer = setInterval(() => this.listeners.notifyGap(() => true), READ_AGAIN_EVERY)
  }

  /** Resolves when the events of a partition are read, or cannot be read now. Later events reach the listeners. */
  tried(partition: number): Promise<void> {
    return (this.#partitions[partition] as Partition).tried.promise
  }

  /**
   * Resolves when the events of all partitions are read.
   * @throws {StoreUnavailable} when a partition cannot be read.
   */
  async ready(): Promise<void> {
    const tried = Promise.all(this.#partitions.map(each => each.tried.promise))
    await withDeadline<unknown>(tried, { after: READY_WITHIN, late: () => {} })
    const failed = this.#partitions.find(({ isReading }) => !isReading)
    if (failed)
      throw new StoreUnavailable('redis', failed.failure instanceof Error ? failed.failure : NOT_YET)
  }

  /**
   * Creates a cursor at the newest event, or after the positions in the text `after`. The feed must be ready. `onPause` is
   * that of the cursor.
   */
  follow(filter: EventFilter, after: string | undefined, onPause: () => void): EventCursor {
    const positions = after === undefined ? undefined : readPositions(after, this.#heads.length)
    const start = after === undefined ? undefined : (positions ?? 'unknown')
    return new EventCursor({ window: this.#window, heads: this.#heads, filter, after: start, onPause })
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const { reader, tried } of this.#partitions) {
      reader.stop()
      tried.resolve()
    }
  }

  #open(partition: number): Partition {
    const { redis, keys } = this.#options
    const reader = createLogReader({
      redis: redis.masterOf(partition),
      stream: keys.stream(EVENTS, partition),
      past: { entries: MOST_PAST, bytes: WINDOW.bytes / keys.partitions },
      onStart: past => this.#begin(partition, past),
      onEntries: entries => this.#receive(partition, entries),
      onGap: () => this.#reportGap(partition),
      onFailure: error => this.#reportFailure(partition, error),
      readAgainFrom: () => this.#window.since(partition)
    })
    return {
      reader,
      tried: Promise.withResolvers(),
      isReading: false,
      failure: undefined
    }
  }

  #begin(partition: number, { entries, since }: LogPast): void {
    this.#window.setSince(partition, since)
    this.#heads[partition] = since
    for (const entry of entries) this.#add(partition, entry)
    const own = this.#partitions[partition] as Partition
    own.isReading = true
    own.tried.resolve()
    this.#recheck(partition)
  }

  #receive(partition: number, entries: Entry[]): void {
    const from = this.#window.end
    const events = entries.flatMap(entry => this.#add(partition, entry) ?? [])
    for (const event of events) this.listeners.notify(event)
    if (this.subscribers.size > 0) this.subscribers.notify(events, from)
  }

  /** Adds an event to the window. Returns undefined for a repetition. */
  #add(partition: number, [position, fields]: Entry): WindowEvent | undefined {
    this.#heads[partition] = position
    const read = readOrderEvent(fieldOf(fields, 'data'))
    if (!read) {
      this.#options.log.warn({ stream: EVENTS, partition, id: position }, 'event cannot be read')
      return undefined
    }
    const { tenant } = parseIdentity(read.identity)
    const positions = this.subscribers.size === 0 ? '' : writePositions(this.#heads)
    const event: WindowEvent = { kind: 'event', ...read, tenant, partition, position, positions }
    return this.#window.add(event) ? event : undefined
  }

  #reportGap(partition: number): void {
    this.#options.log.warn({ stream: EVENTS, partition }, 'events may be missing: waiters read their orders')
    this.#window.setSince(partition, this.#heads[partition] as string)
    this.#window.add({ kind: 'gap', positions: writePositions(this.#heads) })
    this.#recheck(partition)
    this.subscribers.notifyAll(this.#window.end - 1)
  }

  #reportFailure(partition: number, error: unknown): void {
    const { log } = this.#options
    const own = this.#partitions[partition] as Partition
    own.failure = error
    own.tried.resolve()
    if (!(error instanceof StoreUnavailable)) log.error({ err: error, partition }, 'events cannot be read')
    this.#recheck(partition)
  }

  #recheck(partition: number): void {
    const { keys } = this.#options
    this.listeners.notifyGap(identity => keys.partitionOf(identity) === partition)
  }
}
