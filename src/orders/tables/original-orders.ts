import type { FastifyBaseLogger } from 'fastify'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { MigrationSteps } from '../../stores/mysql/migrate.ts'
import { findFaults, readTables, SchemaRefused, TABLE_NAMES } from '../../stores/mysql/schema-check.ts'
import { checkOriginalRows, describeOriginal } from './original-check.ts'
import { copyOriginalRows, readProgress } from './original-copy.ts'

/** The new name of the original system's table. The table stays as a backup. */
const BACKUP = 'orders_original'

/** The comment of the renamed table. The statement that renames the table also sets it. It marks the table to copy. */
const MARK = 'Orders of the original system, copied by Orderstream'

/** `size`: rows that one transaction copies. `lockWait`: longest wait for transactions of the original system (s). */
const DEFAULTS = { size: 5000, lockWait: 10 }

/** The errno of MySQL when the wait for a lock takes too long. */
const LOCK_WAIT_TIMEOUT = 1205

interface Options {
  taxRate: string
  size: number
  lockWait: number
}

/**
 * Creates the steps that convert the `orders` table of the system that Orderstream replaces:
 *
 *     orders --checked, renamed--> orders_original --migrations create orders--> rows copied into orders
 *
 * Each step may be interrupted; the next start continues with the same step. `taxRate` (decimal text) is the tax rate
 * of the orders that wait.
 */
export function convertOriginalOrders(
  taxRate: string,
  overrides: Partial<typeof DEFAULTS> = {}
): MigrationSteps {
  const options = { ...DEFAULTS, ...overrides, taxRate }
  return {
    before: async (connection, version) => {
      // After the first migration, `orders` is never the table of the original system.
      if (version === 0) await setAside(connection, options)
    },
    after: (connection, log) => finishCopy(connection, log, options)
  }
}

/**
 * Renames the original table if its rows can be converted. A lock stops writes of other sessions until the rename is
 * done.
 * @throws {SchemaRefused} when a table is from neither Orderstream nor the original system, or a row cannot be
 * converted.
 */
async function setAside(connection: Connection, { taxRate, lockWait }: Options): Promise<void> {
  const faults = await findFaults(connection, false)
  if (!faults.some(({ table }) => table === 'orders')) return
  const tables = await readTables(connection, [...TABLE_NAMES, BACKUP])
  const original = describeOriginal(tables.get('orders') ?? [])
  for (const table of tables.keys()) {
    if (table === 'orders') continue
    const why = 'exists already, and the orders of the original system are not converted yet'
    throw new SchemaRefused(
      table,
      `The table ${table} ${why}. Rename it or drop it; nothing has been changed.`
    )
  }
  await connection.query(`SET SESSION lock_wait_timeout = ${lockWait}`)
  await connection.query('LOCK TABLES orders WRITE').catch(cause => {
    if ((cause as { errno?: number }).errno !== LOCK_WAIT_TIMEOUT) throw cause
    throw new SchemaRefused(
      'orders',
      'The table orders is in use: stop the original system, then Orderstream converts its orders; nothing has been changed.'
    )
  })
  // A refusal closes the connection, which releases the lock.
  await checkOriginalRows(connection, original, taxRate)
  // One statement renames the table and sets the comment, so that no crash can separate the two changes.
  await connection.query(`ALTER TABLE orders RENAME TO ${BACKUP}, COMMENT = '${MARK}'`)
  await connection.query('UNLOCK TABLES')
}

/** Copies the rows that are not copied yet, if there is an original table. */
async function finishCopy(connection: Connection, log: FastifyBaseLogger, options: Options): Promise<void> {
  const progress = await readProgress(connection)
  if (progress?.finished) return
  const [[backup]] = await connection.query<RowDataPacket[]>(
    'SELECT table_comment AS mark FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
    [BACKUP]
  )
  if (backup?.mark !== MARK) {
    if (!progress) return
    const why = 'is missing, or has lost its comment, before all its orders were copied'
    throw new SchemaRefused(BACKUP, `The table ${BACKUP} ${why}. Restore it: the copy then continues.`)
  }
  const columns = (await readTables(connection, [BACKUP])).get(BACKUP) ?? []
  log.info({ backup: BACKUP }, 'converting original orders')
  await copyOriginalRows(connection, log, describeOriginal(columns), options)
}
