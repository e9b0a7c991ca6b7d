import { COMMON } from './common.ts'
import { createSpreadTags } from './spread-tags.ts'

/**
 * The names of all Redis keys. All keys of one partition have the same hash tag, so they are in one hash slot. A script
 * may use several keys of a partition, and no command uses keys of two partitions, because a Redis Cluster refuses that.
 */
export interface Keys {
  /** KEY_PREFIX. */
  prefix: string
  partitions: number
  /** REDIS_CLUSTER: whether the hash tags are those of a cluster. */
  cluster: boolean
  /** Returns the partition of an order's identity. It depends only on the identity and the number of partitions. */
  partitionOf: (identity: string) => number
  stream: (name: string, partition: number) => string
  /** Document of an order, by its identity. */
  document: (identity: string) => string
  /** Hash of the counter of accepted orders: `epoch`, `count`, `bytes`, `server`, `released`, and the last count of each older epoch. */
  accepted: (partition: number) => string
  /** Hash of counters that settling and redriving change: `duplicates`, `conflicts`, `redriving`, `bytes`. */
  settled: (partition: number) => string
  /** Sorted set of the ids of messages that wait for another attempt, by due time (ms). */
  retry: (name: string, partition: number) => string
  /** Hash of the messages in `retry`, by id. */
  retrying: (name: string, partition: number) => string
  /** Stream of the dead letters of a function. */
  dead: (name: string, partition: number) => string
  /** Mark of a dead letter that was appended for something that was never in a stream. Prevents a second append. */
  deadLetterMark: (name: string, partition: number, id: string) => string
  /** Stream of the newest dead letters that operators have discarded, each with the reason. */
  discarded: (name: string, partition: number) => string
  /** Set of the functions that have joined a group in this partition, each with its stream and group. */
  functions: (partition: number) => string
  /** Hash of the functions that an operator has ended. An older version reads the time of the last run there (ms). */
  alive: (partition: number) => string
  /** The number of partitions with which orders were accepted; after a release, a mark (see operate/layout.ts). */
  partitionCount: () => string
  /** Hash of the running processes, each with its settings. */
  processes: () => string
  /** Hash with a copy of the tax rates in MySQL: `stamp` and `rates`. */
  taxRates: () => string
  /** List of admin actions that are not yet in MySQL. */
  adminActions: () => string
  /** Hash of the API keys, and of the marks of revoked ones. */
  apiKeys: () => string
  /** Mark that the hash has every API key. */
  apiKeysWhole: () => string
  /** Counter of the requests of one client in one second. */
  rate: (client: string, second: number) => string
}

/**
 * Creates the keys of a service: `prefix` is KEY_PREFIX, `partitions` is STREAM_PARTITIONS. For a `cluster`, the hash
 * tags spread the partitions evenly over the hash slots.
 */
export function createKeys(prefix: string, partitions: number, cluster = false): Keys {
  const tagOf = cluster
    ? createSpreadTags(prefix)
    : (partition: number) => `${prefix}:${Math.max(partition, 0)}`
  const key = (partition: number, rest: string) => `{${tagOf(partition)}}:${rest}`
  const partitionOf = (identity: string) => (partitions === 1 ? 0 : fnv1a(identity) % partitions)
  return {
    prefix,
    partitions,
    cluster,
    partitionOf,
    stream: (name, partition) => key(partition, name),
    document: identity => key(partitionOf(identity), `doc:${identity}`),
    accepted: partition => key(partition, 'accepted'),
    settled: partition => key(partition, 'settled'),
    retry: (name, partition) => key(partition, `retry:${name}`),
    retrying: (name, partition) => key(partition, `retrying:${name}`),
    dead: (name, partition) => key(partition, `dead:${name}`),
    deadLetterMark: (name, partition, id) => key(partition, `letter:${name}:${id}`),
    discarded: (name, partition) => key(partition, `discarded:${name}`),
    functions: partition => key(partition, 'functions'),
    alive: partition => key(partition, 'alive'),
    partitionCount: () => key(COMMON, 'partitions'),
    processes: () => key(COMMON, 'processes'),
    taxRates: () => key(COMMON, 'tax-rates'),
    adminActions: () => key(COMMON, 'admin_actions'),
    apiKeys: () => key(COMMON, 'api_keys'),
    apiKeysWhole: () => key(COMMON, 'api_keys_whole'),
    rate: (client, second) => key(partitionOf(client), `rate:${second}:${client}`)
  }
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
