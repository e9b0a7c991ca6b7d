import type { KnownFunction } from './known-functions.ts'

/**
 * The numbers that the redrive of one dead letter adds to a counter of the hash `settled`, by the code of the dead
 * letter. '' stands for every other code.
 */
export type RedriveCounters = Readonly<Record<string, readonly [counter: string, change: number]>>

/**
 * A function that belongs to the service itself. It is known before a worker has ever run it, no operator can end it,
 * and its messages lie in the partitions that their keys were hashed to.
 */
export interface ServiceFunction extends KnownFunction {
  /** The counters that a redrive of its dead letters changes. */
  redriveCounters: RedriveCounters
}
