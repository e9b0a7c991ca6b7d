import { OrderTooLarge } from './faults.ts'

/**
 * Splits the body of a batch into the texts of its orders. It parses none of them, and keeps at most one text whose end
 * has not arrived.
 */
export interface Splitter {
  /** Adds the next bytes of the body. Only for a splitter whose `next` has returned undefined. */
  push: (chunk: Buffer) => void
  /**
   * Returns the text of the next order, or the error that is found in its place. Returns undefined when more bytes are
   * needed. No text follows a `NoBatch` or a `BrokenBatch`.
   */
  next: () => string | Error | undefined
  /** Returns what is left when the body has ended: a last text or an error. Returns undefined when nothing is left. */
  end: () => string | Error | undefined
}

/** The first size of the buffer for a text whose end has not arrived (bytes). */
const FIRST_SIZE = 4096

const NOTHING = Buffer.alloc(0)

/** The begin of a text whose end has not arrived. It never has more than `limit` bytes. */
export class PartialText {
  readonly #limit: number
  #bytes = NOTHING
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Adds a part of a chunk. It copies the part, because a body may arrive in very small chunks, which take more memory
   * than their bytes.
   */
  add(chunk: Buffer, start: number, end: number): void {
    const length = this.#length + end - start
    if (length <= this.#limit) {
      if (length > this.#bytes.length) this.#grow(length)
      chunk.copy(this.#bytes, this.#length, start, end)
    }
    this.#length = length
  }

  /** Returns the whole text, whose last part is given, and begins the next one. Returns an error for a longer text. */
  take(chunk: Buffer, start: number, end: number): string | OrderTooLarge {
    if (this.#length === 0 && end - start <= this.#limit) return chunk.toString('utf8', start, end)
    this.add(chunk, start, end)
    const length = this.#length
    this.#length = 0
    if (length > this.#limit) return new OrderTooLarge(this.#limit)
    return this.#bytes.toString('utf8', 0, length)
  }

  /** Returns the rest of the body as a text. */
  takeRest(): string | OrderTooLarge {
    return this.take(NOTHING, 0, 0)
  }

  #grow(length: number): void {
    const size = Math.min(this.#limit, Math.max(FIRST_SIZE, this.#bytes.length * 2, length))
    const bytes = Buffer.allocUnsafeSlow(size)
    this.#bytes.copy(bytes, 0, 0, this.#length)
    this.#bytes = bytes
  }
}
