import type { Entry } from '../group/delivery.ts'
import { CALL_BYTES } from '../limits.ts'

/** How many messages the first read asks for, and a read after messages that were larger than expected. */
const FIRST = 16

/** How many messages to read at once: Redis counts messages, while their bytes are what matters. */
export interface ReadSize {
  /** How many messages a batch that has `read` of them still takes; 0 or less when it is full. */
  next: (read: number) => number
  /** To be called with what a read has returned. */
  saw: (entries: Entry[]) => void
}

/**
 * Chooses how many messages a read asks for, so that a batch has at most `most` of about `CALL_BYTES` in all. It judges by
 * the messages before, begins with few, and doubles while reads come back full and small: nothing shows the size of the
 * messages that come next.
 */
export function createReadSize(most: number): ReadSize {
  let limit = Math.min(FIRST, most)
  /** Expected size of a message (bytes). */
  let size = 1
  return {
    next: read => {
      const fitting = Math.max(1, Math.min(most, Math.floor(CALL_BYTES / size)))
      return Math.min(limit, fitting - read)
    },
    saw: entries => {
      if (entries.length === 0) return
      let bytes = 0
      for (const [, fields] of entries) for (const text of fields) bytes += text.length
      // One small batch does not undo what large messages have shown.
      size = Math.max(1, bytes / entries.length, size / 2)
      if (bytes > 2 * CALL_BYTES) limit = Math.min(FIRST, most)
      else if (entries.length >= limit) limit = Math.min(limit * 2, most)
    }
  }
}
