const MIB = 1024 * 1024

/**
 * The size of the largest message, with all its fields (bytes). A larger message cannot be published. When one arrives
 * anyway, it is dead-lettered.
 */
export const LARGEST_MESSAGE = 8 * MIB

/**
 * Most bytes of messages in one call to Redis, sent or received, unless a single message is larger. Redis runs one call
 * at a time, so a large call delays all other calls.
 */
export const CALL_BYTES = 4 * MIB

/** The length to which the fields of too large messages and of discarded dead letters are cut (bytes). */
export const KEPT_BYTES = 65_536

/** The length to which a list cuts the data of each dead letter (bytes). */
export const LISTED_BYTES = 4096

/** Returns whether so many characters certainly fit into a message. A character has at most 3 bytes. */
export function isSmall(characters: number): boolean {
  return characters * 3 <= LARGEST_MESSAGE
}

/** Returns whether texts together are too large for one message. Counts bytes only when the texts are long. */
export function isTooLarge(...texts: string[]): boolean {
  let characters = 0
  for (const text of texts) characters += text.length
  if (isSmall(characters)) return false
  return texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0) > LARGEST_MESSAGE
}

/** Returns the beginning of a text: at most `bytes` bytes, cut between two characters. */
export function beginningOf(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text
  const kept = Buffer.alloc(bytes)
  return kept.toString('utf8', 0, kept.write(text))
}

/**
 * Splits a list into parts of at most `bytes`. `sizeOf` returns the size of an item. A larger item is a part of its
 * own.
 */
export function* partsOf<T>(items: readonly T[], bytes: number, sizeOf: (item: T) => number): Generator<T[]> {
  let [first, sum] = [0, 0]
  for (const [index, item] of items.entries()) {
    const size = sizeOf(item)
    if (index > first && sum + size > bytes) {
      yield items.slice(first, index)
      first = index
      sum = 0
    }
    sum += size
  }
  if (first < items.length) yield items.slice(first)
}
