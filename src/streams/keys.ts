/**
 * Names of every Redis key. All keys of one partition share a hash tag and so a slot of Redis Cluster: scripts may
 * touch several of them, and no command ever spans two partitions.
 */
export interface Keys {
  partitions: number
  /** The partition of an order id: the same in every process, and forever while the count stands. */
  partitionOf: (id: string) => number
  stream: (name: string, partition: number) => string
  document: (id: string) => string
  /** Hash of what was accepted: `epoch` (which life of the counter) and `count`. */
  accepted: (partition: number) => string
  /** How many partitions the orders were spread over when they were accepted. */
  partitionCount: () => string
  /** Requests of one client in one second. */
  rate: (client: string, second: number) => string
}

export function createKeys(prefix: string, partitions: number): Keys {
  const tag = (partition: number) => `{${prefix}:${partition}}`
  const partitionOf = (id: string) => (partitions === 1 ? 0 : fnv1a(id) % partitions)
  return {
    partitions,
    partitionOf,
    stream: (name, partition) => `${tag(partition)}:${name}`,
    document: id => `${tag(partitionOf(id))}:doc:${id}`,
    accepted: partition => `${tag(partition)}:accepted`,
    partitionCount: () => `${tag(0)}:partitions`,
    rate: (client, second) => `${tag(0)}:rate:${second}:${client}`
  }
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
