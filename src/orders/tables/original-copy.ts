import type { FastifyBaseLogger } from 'fastify'
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { SchemaRefused } from '../../stores/mysql/schema-check.ts'
import type { OriginalTable } from './original-check.ts'

/** The progress of the copy. `lastKey` is the key of the last copied row; null before the first row. */
interface Progress {
  lastKey: string | null
  finished: boolean
}

/** Reads the progress of the copy. Returns undefined when the copy has not begun. */
export async function readProgress(connection: Connection): Promise<Progress | undefined> {
  const [[row]] = await connection.query<RowDataPacket[]>(
    'SELECT last_key, finished_at FROM orders_original_copy WHERE id = 1'
  )
  return row && { lastKey: row.last_key, finished: row.finished_at !== null }
}

/**
 * Copies the rows of `orders_original` that are not in `orders` yet. One transaction copies `size` rows, adds their
 * totals and records the last key. An interrupted copy continues after this key. A waiting order gets `taxRate`, as a
 * spilled order does, and a worker completes the order.
 * @throws {SchemaRefused} when the row that records the progress is missing.
 */
export async function copyOriginalRows(
  connection: Connection,
  log: FastifyBaseLogger,
  original: OriginalTable,
  { taxRate, size }: { taxRate: string; size: number }
): Promise<void> {
  await connection.query('INSERT INTO orders_original_copy (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id')
  for (;;) {
    const progress = await readProgress(connection)
    if (!progress) throw new SchemaRefused('orders_original_copy', LOST_PROGRESS)
    const range = await nextRange(connection, original.key, progress.lastKey, size)
    if (!range) break
    await connection.query('START TRANSACTION')
    await copyRange(connection, original, range, taxRate)
    await connection.query('COMMIT')
  }
  await connection.query(
    'UPDATE orders_original_copy SET finished_at = UTC_TIMESTAMP(3) WHERE id = 1 AND finished_at IS NULL'
  )
  const [[row]] = await connection.query<RowDataPacket[]>(
    'SELECT copied FROM orders_original_copy WHERE id = 1'
  )
  log.info({ rows: row?.copied, backup: 'orders_original' }, 'original orders converted')
}

const LOST_PROGRESS =
  'The table orders_original_copy has lost its row while the original orders were converted. Restore the database from its backup.'

interface Range {
  /** An SQL condition that is true for the rows of the range. `values` are its parameters. */
  where: string
  values: (string | number)[]
  lastKey: string
}

/** Finds the next rows to copy. Returns undefined when all rows are copied. */
async function nextRange(
  connection: Connection,
  key: OriginalTable['key'],
  lastKey: string | null,
  size: number
): Promise<Range | undefined> {
  // `lastKey` is text. An `id` is sent as a number, so that MySQL compares it as a number. Another key is sent as text,
  // so that MySQL compares it by the collation of its column.
  const toValue = (text: string) => (key === 'id' ? Number(text) : text)
  const after = lastKey === null ? 'TRUE' : `${key} > ?`
  const values = lastKey === null ? [] : [toValue(lastKey)]
  const [[row]] = await connection.query<RowDataPacket[]>(
    `SELECT MAX(${key}) AS last_key
     FROM (SELECT ${key} FROM orders_original WHERE ${after} ORDER BY ${key} LIMIT ${size}) AS next_rows`,
    values
  )
  if (row?.last_key === null || row?.last_key === undefined) return undefined
  const last = String(row.last_key)
  return { where: `${after} AND ${key} <= ?`, values: [...values, toValue(last)], lastKey: last }
}

/** Copies the rows of a range. The caller opens and commits the transaction. */
async function copyRange(
  connection: Connection,
  { column, status }: OriginalTable,
  { where, values, lastKey }: Range,
  taxRate: string
): Promise<void> {
  const source = `SELECT CONVERT(order_id USING ascii) AS order_id, amount, ${column('tax')} AS tax,
       ${column('total')} AS total, ${status} AS state, CAST(created_at AS DATETIME(3)) AS created,
       CAST(${column('updated_at')} AS DATETIME(3)) AS updated,
       CAST(${column('processed_at')} AS DATETIME(3)) AS processed
     FROM orders_original WHERE ${where}`
  // No time of an order may be earlier than its acceptance.
  const processed = 'GREATEST(created, COALESCE(processed, updated, created))'
  const updated = 'GREATEST(created, COALESCE(processed, created), COALESCE(updated, created))'
  const [{ affectedRows }] = await connection.query<ResultSetHeader>(
    `INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at, tax_rate,
       failure_code, failure_detail)
     SELECT order_id, amount, IF(state = 'completed', tax, NULL), IF(state = 'completed', total, NULL), state, created,
       ${updated}, IF(state = 'processing', NULL, ${processed}), IF(state = 'processing', ?, NULL),
       IF(state = 'failed', 'original', NULL), IF(state = 'failed', 'It failed in the original system.', NULL)
     FROM (${source}) AS original`,
    [taxRate, ...values]
  )
  const [[sums]] = await connection.query<RowDataPacket[]>(
    `SELECT COALESCE(SUM(state = 'processing'), 0) AS processing, COALESCE(SUM(state = 'completed'), 0) AS completed,
       COALESCE(SUM(state = 'failed'), 0) AS failed, COALESCE(SUM(IF(state = 'completed', total, 0)), 0) AS revenue
     FROM (${source}) AS original`,
    values
  )
  await connection.query(
    `UPDATE order_totals SET accepted = accepted + ?, processing = processing + ?, completed = completed + ?,
       failed = failed + ?, revenue = revenue + ? WHERE slot = 0`,
    [affectedRows, sums?.processing, sums?.completed, sums?.failed, sums?.revenue]
  )
  await connection.query('UPDATE orders_original_copy SET last_key = ?, copied = copied + ? WHERE id = 1', [
    lastKey,
    affectedRows
  ])
}
