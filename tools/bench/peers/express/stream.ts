/** The consumer group of the workers. */
export const GROUP = 'workers'

/** The stream of accepted orders; an entry has one field, `data`, and is deleted once its order is done. */
export function streamKey(prefix: string): string {
  return `${prefix}:orders`
}
