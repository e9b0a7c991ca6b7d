import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import type { Pool as PromisePool } from 'mysql2/promise'
import type { Config } from '../../../schema/config/env.ts'
import { withDeadline } from '../../async/deadline.ts'
import { fromMysql } from '../driver-errors.ts'
import { isRefusal, isUnavailable, NoFreeConnection, StoreUnavailable } from '../errors.ts'
import { createPromisePool } from './promise-pool.ts'

/** The limit of a statement for which no client waits, in multiples of STORE_TIMEOUT_MS. */
export const LONG_STATEMENT = 10

/**
 * Returns the statements that prepare a session, whatever the defaults of the server are. They do not change the limits
 * of an operator (a read-only default, a longest statement). `lockWait` is how long a statement waits for a locked
 * table (s). It is short, so that a statement does not stay on the server after its client has timed out.
 */
export function sessionStatements(lockWait: number): string[] {
  const variables = {
    time_zone: "'+00:00'",
    // Refuses values instead of cutting them, and reads quotes and backslashes as the driver writes them.
    sql_mode: "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    // A read does not leave a transaction open. A commit neither begins another transaction nor closes the connection.
    autocommit: 1,
    completion_type: 0,
    innodb_lock_wait_timeout: 3,
    lock_wait_timeout: lockWait,
    // Ids are unique, and a query returns all of its rows.
    unique_checks: 1,
    foreign_key_checks: 1,
    sql_select_limit: '18446744073709551615',
    sql_big_selects: 1,
    sql_safe_updates: 0,
    sql_auto_is_null: 0,
    // A connection that idles in the pool stays open.
    wait_timeout: 28_800,
    character_set_client: 'utf8mb4',
    character_set_connection: 'utf8mb4',
    character_set_results: 'utf8mb4'
  }
  const list = Object.entries(variables).map(([name, value]) => `${name} = ${value}`)
  return [
    `SET SESSION ${list.join(', ')}`,
    // At this level, workers do not wait for gap locks of each other.
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED'
  ]
}

/** Connections to MySQL. Statements fail with classes of errors.ts. Other errors of `work` stay unchanged. */
export interface MysqlPool {
  /**
   * Runs `work` on a connection of its own, then returns the connection to the pool. Closes the connection if a
   * statement got no answer or was refused. Otherwise the next user could read the late answer, or would not get
   * restored rights.
   */
  using: <T>(work: (connection: PoolConnection) => Promise<T>) => Promise<T>
  /** Closes each connection that is open now before its next use, because its session may have outdated settings. */
  renew: () => void
  /**
   * Returns the promise pool of mysql2 over the same connections. `limit` is the longest time of a command (ms). Call
   * it once.
   */
  promise: (limit: number) => PromisePool
  close: () => Promise<void>
}

/** Returns the driver's options for a connection. */
export function connectionOptions(config: Config): PoolOptions {
  return {
    host: config.DB_HOST,
    port: config.DB_PORT,
    user: config.DB_USER,
    password: config.DB_PASSWORD,
    database: config.DB_NAME,
    // The driver checks the name in the server's certificate only on request, and cannot check an address.
    ...(config.DB_TLS && { ssl: { rejectUnauthorized: true, verifyIdentity: isIP(config.DB_HOST) === 0 } }),
    connectTimeout: config.STORE_TIMEOUT_MS,
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true
  }
}

/** Creates a pool of at most `size` connections. A caller waits up to `deadline` ms for one. */
export function createMysqlPool(
  config: Config,
  size: number,
  deadline: number = config.STORE_TIMEOUT_MS
): MysqlPool {
  const pool = createPool({ ...connectionOptions(config), connectionLimit: size })
  const timeout = config.STORE_TIMEOUT_MS
  const { take, renew, resetLater } = createTake(pool, timeout)
  const end = promisify(pool.end.bind(pool))
  let used = 0
  /** Returns why there was no connection in time. */
  const late = () =>
    used === size
      ? new NoFreeConnection('mysql', new Error(`all ${size} connections were in use for ${deadline} ms`))
      : new StoreUnavailable('mysql', new Error(`no connection within ${deadline} ms`))
  return {
    using: async work => {
      const connection = await connect(take, deadline, late)
      used++
      try {
        return await work(connection)
      } finally {
        used--
        if (spoiled.has(connection)) connection.destroy()
        else connection.release()
      }
    },
    renew,
    promise: limit => {
      const lend = async () => {
        const connection = await connect(take, deadline, late)
        used++
        onceReturned(connection, () => {
          used--
        })
        return connection
      }
      return createPromisePool(pool, { lend, resetLater, limit })
    },
    // The driver's `end` fails for a connection that is still opening to a server that hangs. It never returns when
    // such a connection is closed in the meantime.
    close: () =>
      withDeadline(
        end().catch(() => {}),
        { after: timeout, late: () => {} }
      )
  }
}

/** Calls `back` once, when a connection is released, destroyed or lost. */
function onceReturned(connection: PoolConnection, back: () => void): void {
  const { release, destroy } = connection
  const restore = () => {
    connection.off('error', restore)
    Object.assign(connection, { release, destroy })
    back()
  }
  const before = (method: () => void) => () => {
    restore()
    method.call(connection)
  }
  connection.once('error', restore)
  Object.assign(connection, { release: before(release), destroy: before(destroy) })
}

/** Connections that nobody may use again. */
const spoiled = new WeakSet<PoolConnection>()

/**
 * Runs one statement; `timeout` is in milliseconds. Uses callbacks, since the driver's promises take a stack trace for
 * each call. Fails with classes of errors.ts.
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
      if (isRefusal(known)) spoiled.add(connection)
      reject(known)
    })
  })
}

/**
 * Takes connections from the pool and prepares their sessions, with a limit of `timeout` ms for each statement. A
 * connection is used only after its session is prepared, because a statement that waits behind others has no limit. A
 * connection that cannot be prepared is destroyed.
 */
function createTake(pool: Pool, timeout: number) {
  const getConnection = pool.getConnection.bind(pool)
  const unset = new WeakSet<PoolConnection>()
  const altered = new WeakSet<PoolConnection>()
  const session = sessionStatements(Math.ceil((timeout * LONG_STATEMENT) / 1000) + 1)
  let fresh = new WeakSet<PoolConnection>()
  pool.on('connection', connection => {
    unset.add(connection)
    fresh.add(connection)
  })
  const set = async (connection: PoolConnection) => {
    try {
      if (altered.delete(connection)) await reset(connection)
      for (const statement of session) await query(connection, statement, [], timeout)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
  const take = (): Promise<PoolConnection> =>
    new Promise((resolve, reject) => {
      getConnection((error, connection) => {
        if (error) return reject(error)
        if (fresh.has(connection)) return resolve(unset.delete(connection) ? set(connection) : connection)
        connection.destroy()
        resolve(take())
      })
    })
  const renew = () => {
    fresh = new WeakSet()
  }
  const resetLater = (connection: PoolConnection) => {
    altered.add(connection)
    unset.add(connection)
  }
  return { take, renew, resetLater }
}

/** Ends the transaction of a session, and resets all its settings. */
function reset(connection: PoolConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.reset(error => (error ? reject(fromMysql(error)) : resolve()))
  })
}

/**
 * Returns a pooled connection within `deadline` ms. A connection that comes later is returned to the pool.
 * @throws what `late` returns.
 */
async function connect(
  take: () => Promise<PoolConnection>,
  deadline: number,
  late: () => StoreUnavailable
): Promise<PoolConnection> {
  const pending = take()
  const expire = () => {
    pending.then(
      connection => connection.release(),
      () => {}
    )
    throw late()
  }
  try {
    return await withDeadline(pending, { after: deadline, late: expire })
  } catch (error) {
    // A refused connection is not the fault of a call: the account may be locked, or at a limit.
    const known = fromMysql(error)
    throw isUnavailable(known, 'mysql') || known instanceof NoFreeConnection
      ? known
      : new StoreUnavailable('mysql', error)
  }
}
