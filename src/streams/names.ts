/** The stream of events about orders, as CloudEvents. */
export const EVENTS = 'events'

/**
 * Streams that are logs. Every group reads every message of a log. Messages that all groups have acknowledged are
 * trimmed. Any other stream is a work queue: it has one group, and its settled messages are deleted.
 */
export const LOGS: readonly string[] = [EVENTS]
