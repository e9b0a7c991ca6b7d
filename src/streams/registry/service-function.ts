import type { RedriveCounters } from '../dead-letters/redrive.ts'
import type { KnownFunction } from './known-functions.ts'

/**
 * A function that belongs to the service itself. It is known before a worker has ever run it, no operator can end it, and
 * its messages lie in the partitions that their keys were hashed to.
 */
export interface ServiceFunction extends KnownFunction {
  /** What a redrive of its dead letters counts. */
  redriveCounters: RedriveCounters
}
