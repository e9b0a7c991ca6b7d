import type { NewOrder } from './types.ts'

/** Orders to send: an array, a generator, or anything else that a loop can read. */
export type Orders = Iterable<NewOrder> | AsyncIterable<NewOrder>

type Read = IteratorResult<NewOrder, unknown>

/** Reads orders one by one, and keeps an order that has arrived too late for one request for the next one. */
export class OrderSource {
  readonly #iterator: Iterator<NewOrder> | AsyncIterator<NewOrder>
  /** What was read and not taken. */
  #next: Read | Promise<Read> | undefined
  #isOver = false
  #isClosed = false
  #error: { reason: unknown } | undefined

  constructor(orders: Orders) {
    this.#iterator =
      Symbol.asyncIterator in orders ? orders[Symbol.asyncIterator]() : orders[Symbol.iterator]()
  }

  /**
   * Waits for the next order. Returns whether there is one.
   * @throws the error of the source; the reason of the signal
   */
  async hasNext(signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted()
    await unlessAborted(this.#read(), signal)
    if (this.#error) throw this.#error.reason
    return !this.#isOver
  }

  /**
   * Returns the JSON of the next order. Returns undefined at the end, after an error of the source or of an order, and
   * when no order arrives within `patience` (ms).
   */
  async take(patience: number): Promise<string | undefined> {
    const read = this.#read()
    const arrived = read instanceof Promise ? await within(patience, read) : read
    if (arrived === undefined || this.#isOver) return undefined
    this.#next = undefined
    return this.#serialize(arrived.value)
  }

  /** Ends the source. Does not wait for an order that it is reading. */
  async close(): Promise<void> {
    this.#isOver = true
    if (this.#isClosed) return
    this.#isClosed = true
    const closed = Promise.resolve(this.#iterator.return?.())
    if (this.#next instanceof Promise) closed.catch(() => undefined)
    else await closed
  }

  /** Returns what was read and not taken, or reads. Does not throw: `hasNext` does. */
  #read(): Read | Promise<Read> | undefined {
    if (this.#isOver) return undefined
    if (this.#next !== undefined) return this.#next
    try {
      const next = this.#iterator.next()
      if (!('then' in next)) return this.#note(next)
      this.#next = Promise.resolve(next).then(
        read => this.#note(read),
        reason => this.#fail(reason)
      )
      return this.#next
    } catch (reason) {
      return this.#fail(reason)
    }
  }

  #note(read: Read): Read {
    if (read.done) {
      this.#isOver = true
      this.#isClosed = true
    }
    this.#next = read
    return read
  }

  #fail(reason: unknown): Read {
    this.#error = { reason }
    return this.#note({ done: true, value: undefined })
  }

  #serialize(order: unknown): string | undefined {
    try {
      const text = JSON.stringify(order)
      if (typeof order === 'object' && order !== null) return text
      throw new TypeError(`An order is an object, not ${text}.`)
    } catch (reason) {
      this.#error = { reason }
      this.#isOver = true
      return undefined
    }
  }
}

/** Waits for a value, at most some milliseconds. */
async function within<T>(longest: number, value: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), longest)
  })
  try {
    return await Promise.race([value, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a value. Fails with the reason of the signal when it aborts. */
async function unlessAborted<T>(value: T, signal: AbortSignal | undefined): Promise<Awaited<T>> {
  let abort = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal?.reason)
    signal?.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([value, aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}
