import type { Entry } from '../group/delivery.ts'
import { CALL_BYTES } from '../limits.ts'

/** How many messages the first read asks for, and one that follows messages which were larger than expected. */
const FIRST = 16

/** How many messages to read at once, where Redis counts messages and their bytes are what matters. */
export interface ReadSize {
  next: () => number
  /** To be called with what a read has returned. */
  saw: (entries: Entry[]) => void
}

/**
 * Chooses how many messages a read asks for, at most `most`, so that they have about `CALL_BYTES`: by the sizes of those
 * before. It begins with few, and doubles while reads come back full and small, since nothing shows the size of what
 * comes next.
 */
export function createReadSize(most: number): ReadSize {
  let limit = Math.min(FIRST, most)
  /** Expected size of a message. */
  let size = 1
  return {
    next: () => Math.max(1, Math.min(limit, Math.floor(CALL_BYTES / size))),
    saw: entries => {
      if (entries.length === 0) return
      let bytes = 0
      for (const [, fields] of entries) for (const text of fields) bytes += text.length
      // One small batch does not make large messages forgotten.
      size = Math.max(1, bytes / entries.length, size / 2)
      if (bytes > 2 * CALL_BYTES) limit = Math.min(FIRST, most)
      else if (entries.length >= limit) limit = Math.min(limit * 2, most)
    }
  }
}
