import type { FastifyBaseLogger } from 'fastify'
import type { RowDataPacket } from 'mysql2/promise'
import type { Config } from '../../schema/env.ts'
import { Availability } from './availability.ts'
import { Contention, fromMysql } from './errors.ts'
import { migrate } from './migrate.ts'
import { connectionOptions, createMysqlPool, query } from './mysql-pool.ts'
import { runTransaction, type Transaction } from './transaction.ts'

/** How often a transaction that lost against another one is done anew before the loss is reported. */
const CONTENTION_RETRIES = 3

/** How much longer than a read a statement may take: one of a worker, and one that a client waits for. */
const LONG_STATEMENT = 10
const SHORT_STATEMENT = 2

/** Asked with every probe: it may change while the server runs. */
const DURABILITY = 'SELECT @@GLOBAL.innodb_flush_log_at_trx_commit AS flush'

export interface MysqlStore {
  availability: Availability
  /** Reads rows outside a transaction. */
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  /**
   * Runs `work` in a READ COMMITTED transaction and commits. Whatever it throws rolls back and passes through as it is;
   * errors of its statements are classes already. Deadlocks and lock waits are retried here, so `work` may run more than
   * once. A statement may take ten times STORE_TIMEOUT_MS, one of
   * a `short` transaction, for which a client waits, twice that.
   */
  transaction: <T>(work: (transaction: Transaction) => Promise<T>, length?: 'short') => Promise<T>
  /** Whether a commit was last seen to be on disk before it is answered. */
  durable: () => boolean
  start: () => Promise<void>
  close: () => Promise<void>
}

/**
 * The MySQL of this process: a pool behind a breaker. Migrations are applied with the first probe that answers.
 * `writeInVain` is a transaction that writes and changes nothing.
 */
export function createMysqlStore(
  config: Config,
  log: FastifyBaseLogger,
  writeInVain: (transaction: Transaction) => Promise<void>
): MysqlStore {
  const pool = createMysqlPool(config, config.DB_POOL_SIZE - 1)
  // One that no work can take: a process that is busy must not find that MySQL is away.
  const probes = createMysqlPool(config, 1)
  const timeout = config.STORE_TIMEOUT_MS
  let durable = false
  // Migrations may take longer than a probe; the probes of that time wait for the same run.
  let migration: Promise<void> | undefined
  const migrateOnce = () => {
    migration ??= migrate(connectionOptions(config), log).catch(error => {
      migration = undefined
      throw fromMysql(error)
    })
    return migration
  }

  const availability = new Availability({
    store: 'mysql',
    log,
    timeout,
    probe: async () => {
      await migrateOnce()
      const [row] = await probes.using(connection =>
        query<RowDataPacket[]>(connection, DURABILITY, [], timeout)
      )
      durable = row?.flush === 1
    },
    tryWrite: () => runTransaction(pool, writeInVain, timeout * SHORT_STATEMENT)
  })

  return {
    availability,
    rows: (sql, values) =>
      availability.run(() => pool.using(connection => query(connection, sql, values, timeout))),
    transaction: (work, length) => {
      const each = timeout * (length === 'short' ? SHORT_STATEMENT : LONG_STATEMENT)
      return availability.run(() => retryContention(() => runTransaction(pool, work, each)))
    },
    durable: () => durable,
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      await Promise.all([pool.close(), probes.close()])
    }
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
