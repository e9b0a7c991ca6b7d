/** The consumer group of the workers. */
export const GROUP = 'workers'

/**
 * Returns the stream of accepted orders. An entry has one field, `data`. The worker deletes it when its order is done.
 */
export function streamKey(prefix: string): string {
  return `${prefix}:orders`
}
