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

/** How often a transaction that lost against another one is done anew before the loss is reported. */
const CONTENTION_RETRIES = 3

/** How much longer than a read a statement of a transaction may take that a client waits for. */
const SHORT_STATEMENT = 2

/** How long a statement may take at least that finds out whether MySQL takes writes: longer than it waits for a row (ms). */
const TRIAL = 1500

/** How long a refusal of the schema holds until the tables are read again (ms): that may take long. */
const REFUSAL_HOLDS = 10_000

/** Asked with every probe: it may change while the server runs. */
const DURABILITY = 'SELECT @@GLOBAL.innodb_flush_log_at_trx_commit AS flush'

/**
 * MySQL as one kind of work uses it. A call fails with an error class of errors.ts, or with what its author throws; an error
 * that is not foreseen stays as it is only where a write to the tables of orders succeeds right after it.
 */
export interface MysqlStore {
  availability: Availability
  /** Reads rows outside a transaction. */
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  /**
   * Runs `work` in a READ COMMITTED transaction and commits. Whatever it throws rolls back and passes through as it is;
   * errors of its statements are classes already. Deadlocks and lock waits are retried here, so `work` may run more than
   * once. A statement may take ten times STORE_TIMEOUT_MS, one of a `short` transaction, for which a client waits, twice
   * that.
   */
  transaction: <T>(work: (transaction: Transaction) => Promise<T>, length?: 'short') => Promise<T>
  /** Whether a commit was last seen to be on disk before it is answered. */
  durable: () => boolean
}

/** MySQL for functions, which may also use mysql2 itself. */
export interface FunctionMysqlStore extends MysqlStore {
  /** mysql2's pool of promises, over the connections of this store; a command may take ten times STORE_TIMEOUT_MS. */
  client: PromisePool
}

/** The MySQL of this process, with connections for orders that nothing else can take. */
export interface MysqlStores {
  orders: MysqlStore
  /** It waits longer for a connection and for rows, and a statement of it that is slow is not held against MySQL. */
  functions: FunctionMysqlStore
  start: () => Promise<void>
  close: () => Promise<void>
}

/**
 * The MySQL of this process: two pools behind one breaker. Migrations are applied with the first probe that answers.
 * `trialWrite` is a transaction that writes and changes nothing; `steps` belong to the migrations.
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
  // One that no work can take: a process that is busy must not find that MySQL is away.
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
      // On a new connection: what the server forbids now may not bind the sessions that are open.
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
    orders: over(pool, timeout, true),
    functions: { ...over(functionPool, long, false), client: functionPool.promise(long + timeout) },
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      await Promise.all([pool, functionPool, probes].map(each => each.close()))
    }
  }
}

/**
 * Makes what migrates until that succeeds once. Migrations may take longer than a probe; the probes of that time wait for
 * the same run. A schema that is refused is logged here, once: the probe may have given up before.
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
 * Does `work`, and finds out what an error means that nothing foresees: MySQL refuses when it takes no writes right after
 * that, or took none right before.
 * @throws {StoreRefused} then; else whatever `work` throws.
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
