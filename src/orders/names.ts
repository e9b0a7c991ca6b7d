/** The stream of accepted orders. Only `process-orders` consumes it. */
export const PLACED = 'placed'

/** The function that processes orders. The audit counts its messages. */
export const ORDER_FUNCTION = 'process-orders'

/** A message of `placed` with more bytes than this is large. The backlog is also limited by the bytes of large messages. */
export const LARGE_MESSAGE = 1024
