import type { FastifyBaseLogger } from 'fastify'
import {
  createPool,
  type Pool,
  type PoolConnection,
  type PoolOptions,
  type ResultSetHeader,
  type RowDataPacket
} from 'mysql2/promise'
import type { Config } from '../../schema/env.ts'
import { Availability } from './availability.ts'
import { Contention, fromMysql, StoreUnavailable } from './errors.ts'
import { migrate } from './migrate.ts'

/** How often a transaction that lost against another one is done anew before the loss is reported. */
const CONTENTION_RETRIES = 3

/** What every session is set to: UTC, short lock waits, no clamping of values, and no gap locks between workers. */
const SESSION = [
  "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 3",
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED'
]

/** One connection inside a transaction. */
export interface Transaction {
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  run: (sql: string, values: unknown[]) => Promise<ResultSetHeader>
}

export interface MysqlStore {
  availability: Availability
  /** Reads rows outside a transaction. */
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  /**
   * Runs `work` in a READ COMMITTED transaction and commits; whatever it throws rolls back. Deadlocks and lock
   * waits are retried here, so `work` may run more than once.
   */
  transaction: <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>
  start: () => Promise<void>
  close: () => Promise<void>
}

function connectionOptions(config: Config): PoolOptions {
  return {
    host: config.DB_HOST,
    port: config.DB_PORT,
    user: config.DB_USER,
    password: config.DB_PASSWORD,
    database: config.DB_NAME,
    ...(config.DB_TLS && { ssl: { rejectUnauthorized: true } }),
    connectTimeout: config.STORE_TIMEOUT_MS,
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true
  }
}

/** The MySQL of this process: a pool behind a breaker. Migrations are applied with the first probe that answers. */
export function createMysqlStore(config: Config, log: FastifyBaseLogger): MysqlStore {
  const pool = createPool({ ...connectionOptions(config), connectionLimit: config.DB_POOL_SIZE })
  // Queued ahead of whatever the pool hands the connection out for.
  pool.pool.on('connection', connection => {
    for (const statement of SESSION) connection.query(statement, error => error && connection.destroy())
  })
  // Migrations may take longer than a probe; the probes of that time wait for the same run.
  let migration: Promise<void> | undefined
  const migrateOnce = () => {
    migration ??= migrate(connectionOptions(config), log).catch(error => {
      migration = undefined
      throw fromMysql(error)
    })
    return migration
  }

  const query = <T>(connection: PoolConnection, sql: string, values: unknown[]) =>
    connection.query({ sql, values, timeout: config.STORE_TIMEOUT_MS }).then(([result]) => result as T)

  const using = async <T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> => {
    const connection = await connect(pool, config.STORE_TIMEOUT_MS)
    try {
      const result = await work(connection)
      connection.release()
      return result
    } catch (error) {
      const known = fromMysql(error)
      // A connection without an answer is in an unknown state: the next one to use it could read this call's reply.
      if (known instanceof StoreUnavailable) connection.destroy()
      else connection.release()
      throw known
    }
  }

  const availability = new Availability({
    store: 'mysql',
    log,
    timeout: config.STORE_TIMEOUT_MS,
    probe: async () => {
      await migrateOnce()
      await using(connection => query<RowDataPacket[]>(connection, 'SELECT 1', []))
    }
  })

  const once = <T>(work: (transaction: Transaction) => Promise<T>) =>
    using(async connection => {
      await query(connection, 'START TRANSACTION', [])
      try {
        const result = await work({
          rows: (sql, values) => query(connection, sql, values),
          run: (sql, values) => query(connection, sql, values)
        })
        await query(connection, 'COMMIT', [])
        return result
      } catch (error) {
        const known = fromMysql(error)
        if (!(known instanceof StoreUnavailable)) await query(connection, 'ROLLBACK', [])
        throw known
      }
    })

  return {
    availability,
    rows: (sql, values) => availability.run(() => using(connection => query(connection, sql, values))),
    transaction: work => availability.run(() => retryContention(() => once(work))),
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      await pool.end()
    }
  }
}

/** A pooled connection within `deadline` milliseconds; one that comes later goes back to the pool. */
async function connect(pool: Pool, deadline: number): Promise<PoolConnection> {
  const pending = pool.getConnection()
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      pending.then(
        connection => connection.release(),
        () => {}
      )
      reject(new StoreUnavailable('mysql', new Error(`no connection within ${deadline} ms`)))
    }, deadline)
  })
  try {
    return await Promise.race([pending, expired])
  } catch (error) {
    throw fromMysql(error)
  } finally {
    clearTimeout(timer)
  }
}

async function retryContention<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Contention) || attempt > CONTENTION_RETRIES) throw error
    }
  }
}
