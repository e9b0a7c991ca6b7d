import { BrokenBatch, NoBatch } from './faults.ts'
import { PartialText, type Splitter } from './splitter.ts'

const code = (character: string) => character.charCodeAt(0)
const [QUOTE, BACKSLASH, COMMA] = [code('"'), code('\\'), code(',')]
const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [code('['), code(']'), code('{'), code('}')]
const WHITE_SPACE = new Set([...' \t\n\r'].map(code))

/** The bytes of a byte order mark. */
const MARK = new Set([0xef, 0xbb, 0xbf])

/** Where the next byte is: before the array, between two elements, in an element, or after the array. */
type Place = 'before' | 'between' | 'element' | 'after'

/**
 * Splits a JSON array into the texts of its elements. It reads bytes, and knows only strings and the depth of brackets.
 * Each element still has to be parsed. An element of more than `limit` bytes becomes an error.
 */
export function createElements(limit: number): Splitter {
  return new Elements(limit)
}

class Elements implements Splitter {
  readonly #partial: PartialText
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #place: Place = 'before'
  #isFirst = true
  #depth = 0
  #inString = false
  #isEscaped = false

  constructor(limit: number) {
    this.#partial = new PartialText(limit)
  }

  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#at = 0
  }

  next(): string | Error | undefined {
    for (;;) {
      if (this.#place === 'element') return this.#takeElement()
      const byte = this.#skipSpace()
      if (byte === undefined) return undefined
      if (this.#place === 'before') {
        if (byte !== OPEN) return new NoBatch('The body is not an array. Send an array of orders, or NDJSON.')
        this.#at++
        this.#place = 'between'
      } else if (this.#place === 'after') {
        return new BrokenBatch('The body has more text after the array.')
      } else if (byte === CLOSE && this.#isFirst) {
        this.#at++
        this.#place = 'after'
      } else this.#place = 'element'
    }
  }

  end(): Error | undefined {
    if (this.#place === 'after') return undefined
    return this.#place === 'before'
      ? new NoBatch('The body is empty. Send an array of orders, or NDJSON.')
      : new BrokenBatch('The body ends before its array does.')
  }

  /** Returns the next byte that is not white space. Skips a byte order mark before the array, too. */
  #skipSpace(): number | undefined {
    for (; this.#at < this.#chunk.length; this.#at++) {
      const byte = this.#chunk[this.#at] as number
      if (!WHITE_SPACE.has(byte) && !(this.#place === 'before' && MARK.has(byte))) return byte
    }
    return undefined
  }

  #takeElement(): string | Error | undefined {
    const start = this.#at
    const end = this.#findEnd()
    if (end === -1) {
      this.#partial.add(this.#chunk, start, this.#chunk.length)
      this.#at = this.#chunk.length
      return undefined
    }
    const text = this.#partial.take(this.#chunk, start, end)
    this.#at = end + 1
    this.#place = this.#chunk[end] === COMMA ? 'between' : 'after'
    this.#isFirst = false
    return text === '' ? new BrokenBatch('The array has a comma without an order.') : text
  }

  /** Returns the position of the comma or bracket after the element; -1 when the chunk does not have it. */
  #findEnd(): number {
    const chunk = this.#chunk
    let depth = this.#depth
    let inString = this.#inString
    let isEscaped = this.#isEscaped
    let at = this.#at
    for (; at < chunk.length; at++) {
      const byte = chunk[at]
      if (inString) {
        if (isEscaped) isEscaped = false
        else if (byte === BACKSLASH) isEscaped = true
        else if (byte === QUOTE) inString = false
      } else if (byte === QUOTE) inString = true
      else if (byte === OPEN_OBJECT || byte === OPEN) depth++
      else if (depth === 0) {
        if (byte === COMMA || byte === CLOSE) break
      } else if (byte === CLOSE_OBJECT || byte === CLOSE) depth--
    }
    this.#depth = depth
    this.#inString = inString
    this.#isEscaped = isEscaped
    return at < chunk.length ? at : -1
  }
}
