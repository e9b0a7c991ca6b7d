import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import type { Config } from '../../schema/env.ts'
import { fromMysql, NoFreeConnection, StoreUnavailable } from './errors.ts'

/** What every session is set to: UTC, short lock waits, no clamping of values, and no gap locks between workers. */
const SESSION = [
  "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 3",
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED'
]

/** Connections to MySQL. Errors of its statements come as classes; what else `work` throws passes through as it is. */
export interface MysqlPool {
  /**
   * Runs `work` on a connection of its own, which goes back to the pool. One on which a statement got no answer, or was
   * refused, is closed: the next user could read the late reply, and only a new session sees rights that were given back.
   */
  using: <T>(work: (connection: PoolConnection) => Promise<T>) => Promise<T>
  close: () => Promise<void>
}

export function connectionOptions(config: Config): PoolOptions {
  return {
    host: config.DB_HOST,
    port: config.DB_PORT,
    user: config.DB_USER,
    password: config.DB_PASSWORD,
    database: config.DB_NAME,
    // The driver looks for the server's name in its certificate only when told to, and can for no address.
    ...(config.DB_TLS && { ssl: { rejectUnauthorized: true, verifyIdentity: isIP(config.DB_HOST) === 0 } }),
    connectTimeout: config.STORE_TIMEOUT_MS,
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true
  }
}

/** At most `size` connections. */
export function createMysqlPool(config: Config, size: number): MysqlPool {
  const pool = createPool({ ...connectionOptions(config), connectionLimit: size })
  const timeout = config.STORE_TIMEOUT_MS
  const take = createTake(pool, timeout)
  const end = promisify(pool.end.bind(pool))
  let used = 0
  /** Why there was no connection in time. */
  const late = () =>
    used === size
      ? new NoFreeConnection('mysql', new Error(`all ${size} connections were in use for ${timeout} ms`))
      : new StoreUnavailable('mysql', new Error(`no connection within ${timeout} ms`))
  return {
    using: async work => {
      const connection = await connect(take, timeout, late)
      used++
      try {
        return await work(connection)
      } finally {
        used--
        if (spoiled.has(connection)) connection.destroy()
        else connection.release()
      }
    },
    // It reports connections that were still being opened to a server that hangs, and never ends with one that was given
    // up meanwhile; they are gone all the same.
    close: () =>
      within(
        timeout,
        end().catch(() => {}),
        async () => {}
      )
  }
}

/** Connections that nobody may use again. */
const spoiled = new WeakSet<PoolConnection>()

/**
 * One statement; `timeout` in milliseconds. By callback, since the driver's promises take a stack trace for each call.
 * Here alone errors of the driver become classes.
 */
export function query<T>(
  connection: PoolConnection,
  sql: string,
  values: unknown[],
  timeout: number
): Promise<T> {
  return new Promise((resolve, reject) => {
    connection.query({ sql, values, timeout }, (error, result) => {
      if (!error) return resolve(result as T)
      const known = fromMysql(error)
      if (known instanceof StoreUnavailable) spoiled.add(connection)
      reject(known)
    })
  })
}

/**
 * Makes what takes a connection from the pool, with its session set. A statement has no deadline while it waits for those
 * ahead of it, and none behind them is called back once the connection is given up: so nothing is handed out before the
 * session is set, in `timeout` ms for each statement, and one that is not is destroyed.
 */
function createTake(pool: Pool, timeout: number): () => Promise<PoolConnection> {
  const unset = new WeakSet<PoolConnection>()
  pool.on('connection', connection => unset.add(connection))
  const set = async (connection: PoolConnection) => {
    try {
      for (const statement of SESSION) await query(connection, statement, [], timeout)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
  return () =>
    new Promise((resolve, reject) => {
      pool.getConnection((error, connection) => {
        if (error) reject(error)
        else resolve(unset.delete(connection) ? set(connection) : connection)
      })
    })
}

/** A pooled connection within `deadline` milliseconds, or what `late` says; one that comes later goes back to the pool. */
async function connect(
  take: () => Promise<PoolConnection>,
  deadline: number,
  late: () => StoreUnavailable
): Promise<PoolConnection> {
  const pending = take()
  const expire = async () => {
    pending.then(
      connection => connection.release(),
      () => {}
    )
    throw late()
  }
  try {
    return await within(deadline, pending, expire)
  } catch (error) {
    // Whatever the server says to one that it lets not in, it says of no call: the account may be locked, or at a limit.
    const known = fromMysql(error)
    throw known instanceof StoreUnavailable ? known : new StoreUnavailable('mysql', error)
  }
}

/** What `work` comes to, or what `expire` says when that takes longer than `timeout` ms. */
async function within<T>(timeout: number, work: Promise<T>, expire: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<T>(resolve => {
    timer = setTimeout(() => resolve(expire()), timeout)
  })
  try {
    return await Promise.race([work, expired])
  } finally {
    clearTimeout(timer)
  }
}
