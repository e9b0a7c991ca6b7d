const MIB = 1024 * 1024

/**
 * The largest message in bytes: its data and the fields beside it. A larger one cannot be published, and is
 * dead-lettered when it arrives anyway.
 */
export const LARGEST_MESSAGE = 8 * MIB

/**
 * Most bytes of messages in one call to Redis, in either direction, unless a single message is larger: Redis serves
 * no one else while it runs one, and everything else on the connection waits behind it.
 */
export const CALL_BYTES = 4 * MIB

/** The length to which the fields of too large messages and of discarded dead letters are cut (bytes). */
export const KEPT_BYTES = 65_536

/** The length to which a list cuts the data of each dead letter (bytes). */
export const LISTED_BYTES = 4096

/** Returns whether so many characters are surely no larger than a message may be: one has 3 bytes at most. */
export function isSmall(characters: number): boolean {
  return characters * 3 <= LARGEST_MESSAGE
}

/** Returns whether texts are together larger than a message may be. Only long ones are measured. */
export function isTooLarge(...texts: string[]): boolean {
  let characters = 0
  for (const text of texts) characters += text.length
  if (isSmall(characters)) return false
  return texts.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0) > LARGEST_MESSAGE
}

/** The beginning of a text, so many bytes at most, cut between two characters. */
export function beginningOf(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text
  const kept = Buffer.alloc(bytes)
  return kept.toString('utf8', 0, kept.write(text))
}

/** Splits a list into parts of at most `bytes`, by a size of each item; a larger item is a part of its own. */
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
