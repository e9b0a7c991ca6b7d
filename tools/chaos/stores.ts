import { Redis } from 'ioredis'
import { type Connection, createConnection } from 'mysql2/promise'

/** Where the stores are, and which part of them the service uses. */
export interface StoreAccess {
  redis: { host: string; port: number }
  mysql: { host: string; port: number; user: string; password: string; database: string }
  prefix: string
  partitions: number
}

/**
 * How long opening a connection may take, ms. What has to be done waits for a server that a busy machine holds up; one
 * that is gone refuses at once. What watches all along does not wait: it tries again.
 */
const WAIT = 30_000
export const WATCHING = 2000

/** A connection to Redis of our own. It tries nothing again, as the server may be away on purpose. */
export function openRedis({ redis }: StoreAccess, connectTimeout = WAIT): Redis {
  const client = new Redis({
    ...redis,
    replyMapping: 'legacy',
    connectTimeout,
    commandTimeout: 30_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null
  })
  // What went wrong comes again as the failure of the command; without a listener it would be printed.
  client.on('error', () => {})
  return client
}

/** Does `work` with a connection to Redis, closed afterwards. */
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

/** Does `work` with a connection to MySQL, closed afterwards. Decimals and times come as text. */
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

/** The name of a key in each partition. */
export function keysOf({ prefix, partitions }: StoreAccess, name: string): string[] {
  return Array.from({ length: partitions }, (_, partition) => `{${prefix}:${partition}}:${name}`)
}
