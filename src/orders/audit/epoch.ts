import { randomBytes } from 'node:crypto'

/**
 * An epoch is one life of a partition's counter of accepted orders. Its name begins with the number of that life, so that
 * a Redis which was restored to an older epoch shows: `00000002.<random>`. Names that an older version made are UUIDs and
 * count as life 0. Scripts read the number in the same way (accept.lua, begin-epoch.lua).
 */
export function lifeOf(epoch: string): number {
  return Number(/^(\d+)\./.exec(epoch)?.[1] ?? 0)
}

/** Names the epoch that follows another one; '' is before the first. */
export function epochAfter(epoch: string): string {
  return `${String(lifeOf(epoch) + 1).padStart(8, '0')}.${randomBytes(13).toString('hex')}`
}

/** A counter as Redis has it; 0 where nothing was counted, or what is there is no number. */
export function toCount(text: unknown): number {
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : 0
}

/** How far the counter of a partition was seen to have come. */
export interface Seen {
  /** '' when none was seen. */
  epoch: string
  count: number
}

/** Whether a counter has lost what was seen of it: it stands lower, in an older epoch, or is gone. */
export function isRewound(now: Seen, seen: Seen): boolean {
  if (now.epoch === seen.epoch) return now.count < seen.count
  return now.epoch === '' || lifeOf(now.epoch) < lifeOf(seen.epoch)
}
