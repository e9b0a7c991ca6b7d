import { CALL_BYTES } from '../limits.ts'
import type { Entry } from './delivery.ts'

/** The number of messages in the first read, and in a read after messages that were larger than expected. */
const FIRST = 16

/**
 * Chooses how many messages to read at once. Redis limits a read by the number of messages, but the cost depends on
 * their bytes.
 */
export interface ReadSize {
  /** Returns how many more messages to read for a batch that has `read` messages; 0 or less when the batch is full. */
  next: (read: number) => number
  /** Records the messages that a read returned. */
  record: (entries: Entry[]) => void
}

/**
 * Creates a `ReadSize` for batches of at most `most` messages and about `CALL_BYTES`. It expects the next messages to
 * be as large as the last ones. The first read takes few messages. After a full read, the number of messages doubles,
 * up to `most`. After a read of more than twice `CALL_BYTES`, the number is small again.
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
    record: entries => {
      if (entries.length === 0) return
      let bytes = 0
      for (const [, fields] of entries) for (const text of fields) bytes += text.length
      // After large messages, one read of small messages does not prove that the next messages are small.
      size = Math.max(1, bytes / entries.length, size / 2)
      if (bytes > 2 * CALL_BYTES) limit = Math.min(FIRST, most)
      else if (entries.length >= limit) limit = Math.min(limit * 2, most)
    }
  }
}
