/** The stream of events about orders, as CloudEvents. */
export const EVENTS = 'events'

/**
 * Streams that are logs: every group reads every message, and they are trimmed past what all groups have acknowledged.
 * Any other stream is a work queue: it has one group, and a settled message is deleted.
 */
export const LOGS: readonly string[] = [EVENTS]
