import type { FastifyBaseLogger } from 'fastify'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { MigrationSteps } from '../../stores/mysql/migrate.ts'
import { findFaults, readTables, SchemaRefused, TABLE_NAMES } from '../../stores/mysql/schema-check.ts'
import { checkOriginalRows, describeOriginal } from './original-check.ts'
import { copyOriginalRows, readProgress } from './original-copy.ts'

/** Where the original system's table goes; it stays there as a backup. */
const BACKUP = 'orders_original'

/** The comment of a table that is to be copied: the one step that renames it says so, too. */
const MARK = 'Orders of the original system, copied by Orderstream'

/** How many rows one transaction copies, and how long a transaction of the original system is waited for (s). */
const DEFAULTS = { size: 5000, lockWait: 10 }

/** errno of a lock that was not free in time. */
const LOCK_WAIT_TIMEOUT = 1205

interface Options {
  taxRate: string
  size: number
  lockWait: number
}

/**
 * Converts the `orders` table of the system that this one replaces:
 *
 *     orders --checked, renamed--> orders_original --migrations make orders--> rows copied into orders
 *
 * Each arrow can be cut off, and the next start goes on there. `taxRate` prices the orders that wait.
 */
export function convertOriginalOrders(
  taxRate: string,
  overrides: Partial<typeof DEFAULTS> = {}
): MigrationSteps {
  const options = { ...DEFAULTS, ...overrides, taxRate }
  return {
    before: async (connection, version) => {
      // Once a migration is noted, whatever is wrong with `orders` is no work of the original system.
      if (version === 0) await setAside(connection, options)
    },
    after: (connection, log) => finishCopy(connection, log, options)
  }
}

/**
 * Renames the original's table when it can be converted, while nobody can write to it.
 * @throws {SchemaRefused} when there is a table that is neither ours nor the original's, or a row that cannot be converted.
 */
async function setAside(connection: Connection, { taxRate, lockWait }: Options): Promise<void> {
  const faults = await findFaults(connection, false)
  if (!faults.some(({ table }) => table === 'orders')) return
  const tables = await readTables(connection, [...TABLE_NAMES, BACKUP])
  const original = describeOriginal(tables.get('orders') ?? [])
  for (const table of tables.keys()) {
    if (table === 'orders') continue
    const why = 'is there already, and the orders of the original system are still to be converted'
    throw new SchemaRefused(
      table,
      `The table ${table} ${why}. Rename it, or drop it; nothing has been changed.`
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
  // A refusal ends the connection, and the lock with it.
  await checkOriginalRows(connection, original, taxRate)
  // One statement, which happens whole or not at all.
  await connection.query(`ALTER TABLE orders RENAME TO ${BACKUP}, COMMENT = '${MARK}'`)
  await connection.query('UNLOCK TABLES')
}

/** Copies what is left to copy, if there is a table of the original system. */
async function finishCopy(connection: Connection, log: FastifyBaseLogger, options: Options): Promise<void> {
  const progress = await readProgress(connection)
  if (progress?.finished) return
  const [[backup]] = await connection.query<RowDataPacket[]>(
    'SELECT table_comment AS mark FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
    [BACKUP]
  )
  if (backup?.mark !== MARK) {
    if (!progress) return
    const why = 'is gone, or has lost its comment, before all its orders were copied'
    throw new SchemaRefused(BACKUP, `The table ${BACKUP} ${why}. Restore it: the copy goes on where it was.`)
  }
  const columns = (await readTables(connection, [BACKUP])).get(BACKUP) ?? []
  log.info({ backup: BACKUP }, 'original orders are being converted')
  await copyOriginalRows(connection, log, describeOriginal(columns), options)
}
