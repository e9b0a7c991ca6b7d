import { NoBatch } from './faults.ts'
import { PartialText, type Splitter } from './splitter.ts'

const NEWLINE = '\n'.charCodeAt(0)
const SPACE = ' '.charCodeAt(0)

/** A line without an order. The first line may begin with a byte order mark. */
const BLANK = /^\ufeff?[ \t\r]*$/

/**
 * Splits NDJSON: each line is the text of one order. Skips blank lines. A line of more than `limit` bytes becomes an
 * error.
 */
export function createLines(limit: number): Splitter {
  const partial = new PartialText(limit)
  let chunk: Buffer = Buffer.alloc(0)
  let at = 0
  let isEmpty = true

  const next = () => {
    for (;;) {
      const end = chunk.indexOf(NEWLINE, at)
      if (end === -1) {
        partial.add(chunk, at, chunk.length)
        at = chunk.length
        return undefined
      }
      const text = partial.take(chunk, at, end)
      at = end + 1
      if (isBlank(text)) continue
      isEmpty = false
      return text
    }
  }

  return {
    push: bytes => {
      chunk = bytes
      at = 0
    },
    next,
    end: () => {
      const text = partial.takeRest()
      if (!isBlank(text)) return text
      return isEmpty ? new NoBatch('The body has no orders. Send one order in each line.') : undefined
    }
  }
}

function isBlank(text: string | Error): boolean {
  if (typeof text !== 'string') return false
  const first = text.charCodeAt(0)
  return (text === '' || first <= SPACE || first === 0xfe_ff) && BLANK.test(text)
}
