import { pause } from './deadline.ts'
import { isTransient, Retries } from './retries.ts'
import { EventParser, type Frame } from './server-sent-events.ts'
import { failureOf, type Opened, type Transport } from './transport.ts'
import type { CallOptions, EventFilter, EventType, Order } from './types.ts'

/** The filters of a watch, and where it begins. */
export interface WatchOptions extends EventFilter, CallOptions {
  /** The position after which the watch begins: the `id` of an earlier event. Without it, the watch begins now. */
  lastEventId?: string | undefined
}

/** An order has become final. */
export interface FinalOrderEvent {
  /** The position of the watch after this event. */
  id: string
  type: EventType
  order: Order
}

/** Events may be missing: list the orders. The watch goes on with the newest events. */
export interface ResetEvent {
  /** The position of the watch after this event. */
  id: string
  type: 'reset'
}

/** What a watch returns. */
export type WatchEvent = FinalOrderEvent | ResetEvent

/** The number of events that a watch remembers, to drop those that come again. */
const MOST_REMEMBERED = 10_000

/** The longest silence of a stream (ms). The service sends a heartbeat every 15 seconds. */
const LONGEST_SILENCE = 45_000

/** The pause before a new connection when the stream has not asked for another one (ms). */
const DEFAULT_PAUSE = 1000

/**
 * The events of orders, from one connection after the other. A loop over it ends with `break`, with its signal, or with
 * an error that a new connection cannot solve.
 */
export class OrderWatch implements AsyncIterable<WatchEvent> {
  readonly #transport: Transport
  readonly #filter: EventFilter
  readonly #signal: AbortSignal | undefined
  readonly #seen = new Set<string>()
  #lastEventId: string
  #pause = DEFAULT_PAUSE

  constructor(transport: Transport, { lastEventId = '', signal, ...filter }: WatchOptions) {
    this.#transport = transport
    this.#filter = filter
    this.#signal = signal
    this.#lastEventId = lastEventId
  }

  /**
   * The position after the last event that the loop has received, for `lastEventId` of a later watch. It also advances
   * while no event matches the filters. Empty before the first connection.
   */
  get lastEventId(): string {
    return this.#lastEventId
  }

  /**
   * Connects, and connects again after each interruption. The first connection has the retries of other calls. When it
   * has succeeded once, the watch tries without an end.
   * @throws {OrderstreamError} when the service refuses the request, or when the first connection fails
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent, void, undefined> {
    const { retries: settings } = this.#transport
    let retries = new Retries(settings, this.#signal)
    for (;;) {
      let isOpen = false
      try {
        const opened = await this.#open()
        isOpen = true
        retries = new Retries({ ...settings, attempts: Infinity, total: Infinity }, this.#signal)
        yield* this.#events(opened)
      } catch (error) {
        if (!isTransient(error)) throw error
        if (!isOpen) await retries.after(error)
      }
      if (isOpen) await pause(this.#pause, this.#signal)
    }
  }

  #open(): Promise<Opened> {
    const position = this.#lastEventId
    return this.#transport.open({
      method: 'GET',
      path: '/order-events',
      query: this.#filter,
      headers: { accept: 'text/event-stream', ...(position !== '' && { 'last-event-id': position }) },
      signal: this.#signal
    })
  }

  async *#events({ response, deadline }: Opened): AsyncGenerator<WatchEvent, void, undefined> {
    const parser = new EventParser()
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    try {
      for (;;) {
        deadline.extend(LONGEST_SILENCE)
        const { value } = await reader.read().catch(error => {
          throw failureOf(error, this.#signal)
        })
        if (value === undefined) return
        deadline.stop()
        for (const frame of parser.push(value)) {
          const event = this.#take(frame)
          if (event) yield event
        }
        this.#pause = parser.retry ?? DEFAULT_PAUSE
      }
    } finally {
      deadline.end()
    }
  }

  /** Returns the event of a frame; undefined for a position alone, and for an event that came before. */
  #take({ id, event, data }: Frame): WatchEvent | undefined {
    if (id !== '') this.#lastEventId = id
    if (event === 'reset') return { id, type: 'reset' }
    if (event === undefined || !event.startsWith('order.')) return undefined
    const order = JSON.parse(data) as Order
    return this.#isNew(`${event} ${order.order_id}`) ? { id, type: event as EventType, order } : undefined
  }

  #isNew(name: string): boolean {
    if (this.#seen.has(name)) return false
    this.#seen.add(name)
    if (this.#seen.size > MOST_REMEMBERED) {
      const [oldest] = this.#seen
      this.#seen.delete(oldest as string)
    }
    return true
  }
}
