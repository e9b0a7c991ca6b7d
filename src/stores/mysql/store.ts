import type { FastifyBaseLogger } from 'fastify'
import type { Pool as PromisePool, RowDataPacket } from 'mysql2/promise'
import type { Config } from '../../../schema/config/env.ts'
import { Availability } from '../availability.ts'
import { forNewConnection, fromMysql } from '../driver-errors.ts'
import { Contention, StoreRefused, UnexplainedStoreError } from '../errors.ts'
import { type MigrationSteps, migrate } from './migrate.ts'
import { connectionOptions, createMysqlPool, LONG_STATEMENT, type MysqlPool, query } from './pool.ts'
import { SchemaRefused } from './schema-check.ts'
import { runTransaction, type Transaction } from './transaction.ts'

/** The number of times that a transaction runs again after another transaction won. */
const CONTENTION_RETRIES = 3

/** The limit of a statement in a short transaction, in multiples of STORE_TIMEOUT_MS. */
const SHORT_STATEMENT = 2

/** The shortest limit of a statement of the trial write (ms). It is longer than the wait for a row. */
const TRIAL = 1500

/** The time between two reads of the tables while the schema is refused (ms). Reading the tables may take long. */
const REFUSAL_HOLDS = 10_000

/** The statement of every probe. The setting may change while the server runs. */
const DURABILITY = 'SELECT @@GLOBAL.innodb_flush_log_at_trx_commit AS flush'

/**
 * MySQL for one kind of work. A call fails with a class of errors.ts, or with the error of `work`. After an
 * {UnexplainedStoreError}, a trial write runs. The call fails with that error if the trial write succeeds and MySQL did
 * not refuse writes before. Otherwise it fails with {StoreRefused}.
 */
export interface MysqlStore {
  availability: Availability
  /** Reads rows outside a transaction. */
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  /**
   * Runs `work` in a READ COMMITTED transaction and commits. An error of `work` rolls back and stays unchanged.
   * Deadlocks and lock waits are retried, so `work` may run more than once. The limit of a statement is ten times
   * STORE_TIMEOUT_MS. In a `short` transaction, for which a client waits, the limit is twice that time.
   */
  transaction: <T>(work: (transaction: Transaction) => Promise<T>, length?: 'short') => Promise<T>
  /** Returns whether MySQL answers a commit only after the commit is on disk, as the last probe found. */
  durable: () => boolean
}

/** MySQL for functions, which may also use mysql2 itself. */
export interface FunctionMysqlStore extends MysqlStore {
  /** The promise pool of mysql2 over the connections of this store. A command may take ten times STORE_TIMEOUT_MS. */
  client: PromisePool
}

/** The MySQL of this process: two pools behind one circuit breaker. */
export interface MysqlStores {
  /** For the service itself, on connections that no other work can use. */
  reserved: MysqlStore
  /**
   * For any other work. It waits longer for a connection and for rows. A slow statement does not open the circuit
   * breaker.
   */
  general: FunctionMysqlStore
  start: () => Promise<void>
  close: () => Promise<void>
}

/**
 * Opens the MySQL of this process. The first probe that answers applies the migrations, with `steps` around them.
 * `trialWrite` is a transaction that writes and changes nothing.
 */
export function createMysqlStores(
  config: Config,
  log: FastifyBaseLogger,
  trialWrite: (transaction: Transaction) => Promise<void>,
  steps?: MigrationSteps
): MysqlStores {
  const long = config.STORE_TIMEOUT_MS * LONG_STATEMENT
  const pool = createMysqlPool(config, config.DB_POOL_SIZE - 1)
  const functionPool = createMysqlPool(config, config.DB_FUNCTION_POOL_SIZE, long)
  // Reserved for probes, because a busy process must not find MySQL unavailable.
  const probes = createMysqlPool(config, 1)
  const timeout = config.STORE_TIMEOUT_MS
  let durable = false
  const migrateOnce = createMigrateOnce(config, log, steps)

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
    tryWrite: async () => {
      // Uses a new connection, because a new restriction of the server may not apply to open sessions.
      const trial = createMysqlPool(config, 1)
      try {
        await trial
          .using(async () => {})
          .catch(error => {
            throw forNewConnection(error)
          })
        await runTransaction(trial, trialWrite, Math.max(TRIAL, timeout * SHORT_STATEMENT))
        if (availability.refusal === undefined) return
        for (const each of [pool, functionPool]) each.renew()
      } finally {
        await trial.close()
      }
    }
  })

  const over = (pool: MysqlPool, read: number, trusted: boolean): MysqlStore => {
    const run = <T>(work: () => Promise<T>) => availability.run(() => explain(availability, work), trusted)
    return {
      availability,
      rows: (sql, values) => run(() => pool.using(connection => query(connection, sql, values, read))),
      transaction: (work, length) => {
        const each = length === 'short' ? timeout * SHORT_STATEMENT : long
        return run(() => retryContention(() => runTransaction(pool, work, each)))
      },
      durable: () => durable
    }
  }

  return {
    reserved: over(pool, timeout, true),
    general: { ...over(functionPool, long, false), client: functionPool.promise(long + timeout) },
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      await Promise.all([pool, functionPool, probes].map(each => each.close()))
    }
  }
}

/**
 * Returns a function that migrates until one run succeeds. A run may take longer than a probe. The probes in that time
 * wait for the same run. A refused schema is logged here, once, because the probe may have timed out before.
 */
function createMigrateOnce(
  config: Config,
  log: FastifyBaseLogger,
  steps: MigrationSteps | undefined
): () => Promise<void> {
  let migration: Promise<void> | undefined
  let refused: string | undefined
  let retryAt = Number.POSITIVE_INFINITY
  const run = async () => {
    try {
      await migrate(connectionOptions(config), log, { steps })
    } catch (error) {
      if (error instanceof SchemaRefused) {
        retryAt = performance.now() + REFUSAL_HOLDS
        if (error.message !== refused)
          log.error({ err: error, table: error.table }, 'database schema refused')
        refused = error.message
      } else migration = undefined
      throw fromMysql(error)
    }
  }
  return () => {
    if (performance.now() >= retryAt) {
      retryAt = Number.POSITIVE_INFINITY
      migration = undefined
    }
    migration ??= run()
    return migration
  }
}

/**
 * Runs `work`, and explains an unexpected error by a trial write.
 * @throws {StoreRefused} when MySQL refuses writes right after the error, or refused them before. Otherwise, throws the
 * error of `work`.
 */
async function explain<T>(availability: Availability, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof UnexplainedStoreError)) throw error
    const refused = availability.refusal !== undefined
    if ((await availability.takesWrites()) && !refused) throw error
    throw new StoreRefused('mysql', error)
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
