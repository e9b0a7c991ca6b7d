import type { KnownFunction } from './known-functions.ts'

/**
 * The number that a redrive of one dead letter adds to a counter of the hash `settled`, by the code of the dead letter.
 * The key '' is for all other codes.
 */
export type RedriveCounters = Readonly<Record<string, readonly [counter: string, change: number]>>

/**
 * A function of the service itself. It is known before any worker has run it. No operator can end it. The key of a
 * message determines the partition of the message.
 */
export interface ServiceFunction extends KnownFunction {
  /** The counters that a redrive of its dead letters changes. */
  redriveCounters: RedriveCounters
}
