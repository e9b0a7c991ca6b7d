import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type Connection, createConnection } from 'mysql2/promise'
import { ownerOf, readNodes } from '../local/redis-nodes.ts'

/** The address of a Redis server. */
export interface RedisAddress {
  host: string
  port: number
}

/** The addresses of the stores, and the part of them that the service uses. */
export interface StoreAccess {
  /** Every server of the cluster, or the only server. */
  redis: readonly RedisAddress[]
  mysql: { host: string; port: number; user: string; password: string; database: string }
  /** The hash tag of the keys of each partition, and its hash slot (0 without a cluster). */
  partitions: readonly { tag: string; slot: number }[]
}

/**
 * The longest time that a connect may take (ms). It is long because a busy machine may delay a server. A killed server
 * refuses at once.
 */
const WAIT = 30_000
/** The longest time that a connect of the stall watch may take (ms). It is short because the watch tries again. */
export const WATCHING = 2000

/** Opens a connection to a Redis server. It does not retry, because a fault may have made Redis unavailable. */
function openRedis(address: RedisAddress, connectTimeout: number): Redis {
  const client = new Redis({
    ...address,
    replyMapping: 'legacy',
    connectTimeout,
    commandTimeout: 30_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null
  })
  // The command fails with the same error. Without a listener, ioredis would also print the error.
  client.on('error', () => {})
  return client
}

/** Calls `work` with a connection to a Redis server, and closes it. */
export async function withServer<T>(
  address: RedisAddress,
  work: (client: Redis) => Promise<T>,
  connectTimeout = WAIT
): Promise<T> {
  const client = openRedis(address, connectTimeout)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** Calls `work` with a connection to each Redis server at the same time, and closes the connections. */
export async function withServers(
  { redis }: StoreAccess,
  work: (client: Redis) => Promise<unknown>
): Promise<void> {
  await Promise.all(redis.map(address => withServer(address, work)))
}

/** Work in one partition. `keyOf` adds the hash tag of the partition to the name of a key. */
type InPartition<T> = (client: Redis, keyOf: (name: string) => string) => Promise<T>

/**
 * Calls `work` for each partition, with a connection to its master.
 * @throws the error of one partition, after the work in all others
 */
export async function inPartitions<T>(
  { redis, partitions }: StoreAccess,
  work: InPartition<T>,
  connectTimeout = WAIT
): Promise<T[]> {
  const nodes = redis.length > 1 ? await readNodes(redis) : []
  const masterOf = (slot: number) => (redis.length > 1 ? ownerOf(nodes, slot)?.server : redis[0])
  const clients = new Map<RedisAddress, Redis>()
  const clientOf = (slot: number): Redis => {
    const address = masterOf(slot)
    if (!address) throw new Error(`no server has slot ${slot}`)
    const client = clients.get(address) ?? openRedis(address, connectTimeout)
    clients.set(address, client)
    return client
  }
  try {
    const results = await Promise.allSettled(
      partitions.map(async ({ tag, slot }) => work(clientOf(slot), name => `{${tag}}:${name}`))
    )
    return results.map(result => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  } finally {
    for (const client of clients.values()) client.disconnect()
  }
}

/** The longest wait until the workers have created a key in each partition, and the pause between two checks (ms). */
const CREATED_WITHIN = 60_000
const BETWEEN = 200

/**
 * Finds the hash tags of the partitions. Each tag begins with the prefix, a colon and the number of the partition. Waits
 * until the workers have created the stream of orders in each partition.
 */
export async function findPartitions(
  redis: readonly RedisAddress[],
  prefix: string,
  count: number
): Promise<StoreAccess['partitions']> {
  const found = new Map<number, { tag: string; slot: number }>()
  const search = (address: RedisAddress) =>
    withServer(address, async client => {
      for (const key of await client.keys(`{${prefix}:*}:placed`)) {
        const tag = key.slice(1, key.indexOf('}'))
        const slot = redis.length > 1 ? Number(await client.cluster('KEYSLOT', key)) : 0
        found.set(Number.parseInt(tag.slice(prefix.length + 1), 10), { tag, slot })
      }
    })
  const end = performance.now() + CREATED_WITHIN
  while (found.size < count) {
    if (performance.now() > end)
      throw new Error(`Redis has keys of only ${found.size} of ${count} partitions`)
    await Promise.all(redis.map(search))
    await delay(BETWEEN)
  }
  return [...found].sort(([one], [other]) => one - other).map(([, partition]) => partition)
}

/** Calls `work` with a connection to MySQL, and closes it. The connection returns decimals and times as text. */
export async function withMysql<T>(
  { mysql }: Pick<StoreAccess, 'mysql'>,
  work: (connection: Connection) => Promise<T>,
  connectTimeout = WAIT
): Promise<T> {
  const connection = await createConnection({
    ...mysql,
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    connectTimeout
  })
  connection.on('error', () => {})
  try {
    return await work(connection)
  } finally {
    connection.destroy()
  }
}
