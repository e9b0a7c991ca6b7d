/**
 * Names of every Redis key. All keys of one partition share a hash tag and so a hash slot: scripts may touch several of
 * them, and no command ever spans two partitions. That is what a Redis Cluster asks of keys; the client of this service
 * does not speak the cluster's protocol.
 */
export interface Keys {
  partitions: number
  /** The partition of an order id: the same in every process, and forever while the count stands. */
  partitionOf: (id: string) => number
  stream: (name: string, partition: number) => string
  /** Document of an order. */
  document: (id: string) => string
  /** Hash of the counter of accepted orders: `epoch` and `count`, and the last count of each older epoch. */
  accepted: (partition: number) => string
  /** Hash of counters that settling and redriving change: `duplicates`, `conflicts`, `redriving`. */
  settled: (partition: number) => string
  /** Sorted set of the ids of messages that wait for another attempt, by due time (ms). */
  retry: (name: string, partition: number) => string
  /** Hash of the messages in `retry`, by id. */
  retrying: (name: string, partition: number) => string
  /** Stream of the dead letters of a function. */
  dead: (name: string, partition: number) => string
  /** Mark that a dead letter was appended for something that was never in a stream. */
  deadLetterMark: (name: string, partition: number, id: string) => string
  /** Stream of the dead letters that an operator has discarded, with the reason; the newest ones. */
  discarded: (name: string, partition: number) => string
  /** Set of the functions that have joined a group in this partition, each with its stream and group. */
  functions: (partition: number) => string
  /** Hash of when a worker last ran each function of that set (ms). */
  alive: (partition: number) => string
  /** Returns the key of the number of partitions that orders were accepted with. */
  partitionCount: () => string
  /** Hash of the processes that live, each with its settings. */
  processes: () => string
  /** Hash that mirrors the tax rates in MySQL: `stamp` and `rates`. */
  taxRates: () => string
  /** Requests of one client in one second. */
  rate: (client: string, second: number) => string
}

/** Creates the keys of a service: `prefix` is KEY_PREFIX, `partitions` is STREAM_PARTITIONS. */
export function createKeys(prefix: string, partitions: number): Keys {
  const key = (partition: number, rest: string) => `{${prefix}:${partition}}:${rest}`
  const partitionOf = (id: string) => (partitions === 1 ? 0 : fnv1a(id) % partitions)
  return {
    partitions,
    partitionOf,
    stream: (name, partition) => key(partition, name),
    document: id => key(partitionOf(id), `doc:${id}`),
    accepted: partition => key(partition, 'accepted'),
    settled: partition => key(partition, 'settled'),
    retry: (name, partition) => key(partition, `retry:${name}`),
    retrying: (name, partition) => key(partition, `retrying:${name}`),
    dead: (name, partition) => key(partition, `dead:${name}`),
    deadLetterMark: (name, partition, id) => key(partition, `letter:${name}:${id}`),
    discarded: (name, partition) => key(partition, `discarded:${name}`),
    functions: partition => key(partition, 'functions'),
    alive: partition => key(partition, 'alive'),
    partitionCount: () => key(0, 'partitions'),
    processes: () => key(0, 'processes'),
    taxRates: () => key(0, 'tax-rates'),
    rate: (client, second) => key(0, `rate:${second}:${client}`)
  }
}

/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
