import { randomBytes } from 'node:crypto'

/** A value of a partition's counter of accepted orders: the highest one that was seen. */
export interface Watermark {
  /** The epoch that the counter is in; '' before the first. */
  epoch: string
  /** Orders that were accepted in the epoch. */
  count: number
}

/**
 * The generation of an epoch: 1 for the first, one more for each that follows. An epoch is named
 * `<generation>.<random>`, as in `00000002.9f…`, so that a Redis that was restored to an older epoch shows. Older
 * versions named epochs with UUIDs: their generation is 0. accept.lua and begin-epoch.lua read names the same way.
 */
export function generationOf(epoch: string): number {
  return Number(/^(\d+)\./.exec(epoch)?.[1] ?? 0)
}

/** Names the epoch that follows another one; '' is before the first. */
export function nextEpoch(epoch: string): string {
  return `${String(generationOf(epoch) + 1).padStart(8, '0')}.${randomBytes(13).toString('hex')}`
}

/** Parses a counter of Redis; 0 when it is missing or is not a whole number. */
export function parseCount(text: unknown): number {
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : 0
}

/** Returns whether a counter has lost orders: it is below the watermark, in an older epoch, or missing. */
export function isBehind(counter: Watermark, watermark: Watermark): boolean {
  if (counter.epoch === watermark.epoch) return counter.count < watermark.count
  return counter.epoch === '' || generationOf(counter.epoch) < generationOf(watermark.epoch)
}
