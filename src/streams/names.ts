/** The stream of accepted orders. */
export const PLACED = 'placed'

/** The stream that tells what became of them, as CloudEvents. */
export const EVENTS = 'events'

/** The function whose messages are the orders, and are counted for the audit. */
export const ORDER_FUNCTION = 'process-orders'

/**
 * Streams that are logs: every group sees every message, and they are trimmed past what all groups have acknowledged.
 * Any other stream is a work queue: it has one group, and what that has settled is deleted.
 */
export const LOGS: readonly string[] = [EVENTS]
