import type { OrderSource } from './order-source.ts'
import type { OrderResult } from './types.ts'

/** The most orders of one request, and their most text (characters). The first order over it still fits. */
const MOST_ORDERS = 10_000
const MOST_TEXT = 1024 * 1024

/** The text that is sent together (characters). */
const PART = 64 * 1024

/** How long a part waits for its next order (ms). */
const PART_PATIENCE = 10

/** How long a request waits for its next order (ms). The service ends a request that it waits for too long. */
const REQUEST_PATIENCE = 1000

/** An order of a batch. */
export interface Entry {
  /** The position of the order among all orders of the call. */
  readonly index: number
  /** The order as a line of JSON; empty when its result is final. */
  text: string
  /** The last result, which may be a 429 or 503 that a later one replaces. */
  result?: OrderResult
  isFinal: boolean
}

/** Reads the orders of one request from the source: until it is full, or until no order arrives for a while. */
export class BatchBody {
  readonly entries: Entry[] = []
  readonly #source: OrderSource
  readonly #first: number
  #length = 0
  #isComplete = false
  #reading: Promise<string> = Promise.resolve('')

  /** `first` is the index of the first order. */
  constructor(source: OrderSource, first: number) {
    this.#source = source
    this.#first = first
  }

  /** Returns the body as text, when all its orders have arrived. */
  async text(): Promise<string> {
    const parts: string[] = []
    while (!this.#isComplete) parts.push(await this.#readPart())
    return parts.join('')
  }

  /** Returns the body as a stream, which reads orders only when the connection takes them. */
  stream(): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    return new ReadableStream<Uint8Array>({
      pull: async controller => {
        this.#reading = this.#readPart()
        const part = await this.#reading
        if (part !== '') controller.enqueue(encoder.encode(part))
        if (this.#isComplete) controller.close()
      },
      cancel: () => {
        this.#isComplete = true
      }
    })
  }

  /** Waits until a stream that has ended early reads no more. The last orders in `entries` may be unsent. */
  async settled(): Promise<void> {
    this.#isComplete = true
    await this.#reading
  }

  /** Reads until a part is full, or until no order follows at once. Returns an empty text when none has come in time. */
  async #readPart(): Promise<string> {
    let part = ''
    while (!this.#isComplete && part.length < PART) {
      const json = await this.#source.take(part === '' ? REQUEST_PATIENCE : PART_PATIENCE)
      if (json === undefined) {
        if (part === '') this.#isComplete = true
        break
      }
      const text = `${json}\n`
      const index = this.#first + this.entries.length
      this.entries.push({ index, text, isFinal: false })
      part += text
      this.#length += text.length
      if (this.entries.length === MOST_ORDERS || this.#length >= MOST_TEXT) this.#isComplete = true
    }
    return part
  }
}
