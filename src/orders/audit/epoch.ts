import { randomBytes } from 'node:crypto'

/** The highest value that was observed of a partition's counter of accepted orders. */
export interface Watermark {
  /** The epoch of the counter; '' before the first epoch. */
  epoch: string
  /** The number of orders that were accepted in the epoch. */
  count: number
}

/**
 * Returns the generation of an epoch: 1 for the first epoch, 2 for the second, and so on. The name of an epoch is
 * `<generation>.<random>`, for example `00000002.9f…`. The generation shows when a backup restores Redis to an older
 * epoch. Older versions named epochs with UUIDs; these epochs have generation 0. accept.lua and begin-epoch.lua also
 * parse names.
 */
export function generationOf(epoch: string): number {
  return Number(/^(\d+)\./.exec(epoch)?.[1] ?? 0)
}

/** Makes the name of the epoch after `epoch`. '' makes the name of the first epoch. */
export function nextEpoch(epoch: string): string {
  return `${String(generationOf(epoch) + 1).padStart(8, '0')}.${randomBytes(13).toString('hex')}`
}

/** Parses a counter of Redis. Returns 0 when the counter is missing or is not a whole number. */
export function parseCount(text: unknown): number {
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : 0
}

/** Returns whether a counter is below the watermark, in an older epoch, or missing. Redis has then lost data. */
export function isBehind(counter: Watermark, watermark: Watermark): boolean {
  if (counter.epoch === watermark.epoch) return counter.count < watermark.count
  return counter.epoch === '' || generationOf(counter.epoch) < generationOf(watermark.epoch)
}
