/**
 * Returns the partition of an order, by its identity: FNV-1a with 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/),
 * modulo the number of partitions.
 */
export function partitionOf(identity: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (const code of Array.from(identity, char => char.charCodeAt(0)))
    hash = Math.imul(hash ^ code, 0x01000193) >>> 0
  return hash % partitions
}
