/** The stream of accepted orders. Only `process-orders` consumes it. */
export const PLACED = 'placed'

/** The function that processes orders. The audit counts its messages. */
export const ORDER_FUNCTION = 'process-orders'
