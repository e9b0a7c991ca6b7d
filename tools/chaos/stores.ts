import { Redis } from 'ioredis'
import { type Connection, createConnection } from 'mysql2/promise'

/** The addresses of the stores, and the part of them that the service uses. */
export interface StoreAccess {
  redis: { host: string; port: number }
  mysql: { host: string; port: number; user: string; password: string; database: string }
  prefix: string
  partitions: number
}

/**
 * The longest time that a connect may take (ms). It is long because a busy machine may delay a server. A killed server
 * refuses at once.
 */
const WAIT = 30_000
/** The longest time that a connect of the stall watch may take (ms). It is short because the watch tries again. */
export const WATCHING = 2000

/** Opens a connection to Redis. It does not retry, because a fault may have made Redis unavailable. */
export function openRedis({ redis }: StoreAccess, connectTimeout = WAIT): Redis {
  const client = new Redis({
    ...redis,
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

/** Calls `work` with a connection to Redis, and closes it. */
export async function withRedis<T>(
  access: StoreAccess,
  work: (client: Redis) => Promise<T>,
  connectTimeout = WAIT
): Promise<T> {
  const client = openRedis(access, connectTimeout)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** Calls `work` with a connection to MySQL, and closes it. The connection returns decimals and times as text. */
export async function withMysql<T>(
  { mysql }: StoreAccess,
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

/** Returns the name of a key in each partition. */
export function keysOf({ prefix, partitions }: StoreAccess, name: string): string[] {
  return Array.from({ length: partitions }, (_, partition) => `{${prefix}:${partition}}:${name}`)
}
