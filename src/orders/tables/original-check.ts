import type { Connection, RowDataPacket } from 'mysql2/promise'
import { type Column, SchemaRefused } from '../../stores/mysql/schema-check.ts'

/**
 * The columns that the original system's `orders` may have. `word` names the type in messages. A table with any other
 * column is refused.
 */
const COLUMNS: Record<string, { type: RegExp; word: string; optional?: true }> = {
  id: { type: /^\w*int\b/, word: 'an integer', optional: true },
  order_id: { type: /^(var)?char\(/, word: 'a VARCHAR' },
  amount: { type: /^decimal\(/, word: 'a DECIMAL' },
  tax: { type: /^decimal\(/, word: 'a DECIMAL', optional: true },
  total: { type: /^decimal\(/, word: 'a DECIMAL', optional: true },
  status: { type: /^((var)?char|enum)\(/, word: 'a VARCHAR or an ENUM' },
  created_at: { type: /^(timestamp|datetime)\b/, word: 'a TIMESTAMP' },
  updated_at: { type: /^(timestamp|datetime)\b/, word: 'a TIMESTAMP', optional: true },
  processed_at: { type: /^(timestamp|datetime)\b/, word: 'a TIMESTAMP', optional: true }
}

/** The largest amount that DECIMAL(12, 4) holds. */
const LARGEST = '99999999.9999'

// SQL conditions on the status of a row. The original system may use two words for each status, in any case.
const FAILED = "LOWER(status) IN ('failed', 'error')"
const COMPLETED = "LOWER(status) IN ('completed', 'processed')"
const WAITING = "LOWER(status) IN ('processing', 'pending')"

/** The SQL that reads the rows of an original table. */
export interface OriginalTable {
  /** A column that is unique and never NULL. Rows are copied in the order of this column. */
  key: 'id' | 'order_id'
  /** Returns the SQL of a column: its name, or NULL when the table does not have the column. */
  column: (name: string) => string
  /** The SQL expression of an order's status after the copy. */
  status: string
  /** True when `order_id` has a unique key. */
  unique: boolean
}

/** The last part of each message about a column. */
const REMEDY =
  'Rename the table, or change it so that Orderstream can convert it, or set DB_NAME to a database of its own; nothing has been changed.'

/**
 * Returns the SQL that reads an original table with these columns.
 * @throws {SchemaRefused} when a column differs from the original system; the message names the column.
 */
export function describeOriginal(columns: Column[]): OriginalTable {
  const types = new Map(columns.map(({ name, type }) => [name, type]))
  const refuse = (why: string) =>
    new SchemaRefused(
      'orders',
      `The table orders does not belong to Orderstream: the column ${why}. ${REMEDY}`
    )
  for (const { name, type } of columns) {
    const known = COLUMNS[name]
    if (!known) throw refuse(`${name} is unknown`)
    if (!known.type.test(type) || type.includes(' in a '))
      throw refuse(`${name} is ${type}, not ${known.word}`)
  }
  for (const [name, { optional }] of Object.entries(COLUMNS))
    if (!optional && !types.has(name)) throw refuse(`${name} is missing`)

  const primary = columns.filter(({ type }) => type.includes(' primary'))
  const isKey = (name: string) => {
    const type = types.get(name) ?? ''
    if (type.includes(' null')) return false
    return type.includes(' unique') || (primary.length === 1 && primary[0]?.name === name)
  }
  const key = (['id', 'order_id'] as const).find(isKey)
  if (!key) throw refuse('order_id has no unique key')
  const column = (name: string) => (types.has(name) ? name : 'NULL')
  const priced = `${column('tax')} IS NOT NULL AND ${column('total')} IS NOT NULL`
  return {
    key,
    column,
    status: `CASE WHEN ${FAILED} THEN 'failed' WHEN ${priced} THEN 'completed' ELSE 'processing' END`,
    unique: isKey('order_id')
  }
}

/**
 * Checks that every row can be converted, in one pass over the table.
 * @throws {SchemaRefused} when a row cannot be converted; the message names the column and the order.
 */
export async function checkOriginalRows(
  connection: Connection,
  original: OriginalTable,
  taxRate: string
): Promise<void> {
  const faults = rowFaults(original, taxRate)
  const cases = faults.map(({ when }, index) => `WHEN ${when} THEN ${index}`).join(' ')
  const [[row]] = await connection.query<RowDataPacket[]>(
    `SELECT order_id, fault FROM (SELECT order_id, CASE ${cases} END AS fault FROM orders) AS rows_read
     WHERE fault IS NOT NULL LIMIT 1`
  )
  const fault = row && faults[Number(row.fault)]
  if (fault) throw refuseRow(fault.column, row.order_id, fault.why)
  if (original.unique) return
  const id = 'CONVERT(order_id USING ascii) COLLATE ascii_bin'
  const [[twice]] = await connection.query<RowDataPacket[]>(
    `SELECT ${id} AS order_id FROM orders GROUP BY ${id} HAVING COUNT(*) > 1 LIMIT 1`
  )
  if (twice) throw refuseRow('order_id', twice.order_id, 'names more than one row')
}

/** Returns the faults that a row may have: the column, the condition in SQL, and the reason for the message. */
function rowFaults({ column, status }: OriginalTable, taxRate: string) {
  const outside = (value: string) =>
    `${value} IS NULL OR ${value} < 0 OR ${value} > ${LARGEST} OR ${value} <> ROUND(${value}, 4)`
  const bounds = `is NULL, below 0, above ${LARGEST}, or has more than four decimals`
  const money = (name: string) => ({
    column: name,
    when: `${status} = 'completed' AND (${outside(column(name))})`,
    why: bounds
  })
  const time = (name: string) => ({
    column: name,
    when: `${column(name)} < '1970-01-01'`,
    why: 'is before 1970'
  })
  return [
    {
      column: 'order_id',
      // The conversion replaces every character that is not ASCII with a question mark.
      when: "order_id IS NULL OR CHAR_LENGTH(order_id) NOT BETWEEN 1 AND 100 OR CONVERT(order_id USING ascii) COLLATE ascii_bin REGEXP '[^A-Za-z0-9_-]'",
      why: 'is not 1 to 100 of A–Z, a–z, 0–9, underscore and hyphen'
    },
    { column: 'amount', when: outside('amount'), why: bounds },
    {
      column: 'status',
      when: `status IS NULL OR NOT (${FAILED} OR ${COMPLETED} OR ${WAITING})`,
      why: 'is not one of processing, pending, completed, processed, failed and error'
    },
    {
      column: 'total',
      when: `${COMPLETED} AND ${status} = 'processing'`,
      why: 'is NULL, or its tax is, though it is completed'
    },
    money('tax'),
    money('total'),
    {
      column: 'amount',
      when: `${status} = 'processing' AND amount + ROUND(amount * ${taxRate}, 4) > ${LARGEST}`,
      why: 'is too large for its tax to be added'
    },
    { column: 'created_at', when: 'created_at IS NULL', why: 'is NULL' },
    time('created_at'),
    time('updated_at'),
    time('processed_at')
  ]
}

function refuseRow(column: string, orderId: unknown, why: string): SchemaRefused {
  const id = JSON.stringify(orderId).slice(0, 120)
  return new SchemaRefused(
    'orders',
    `The table orders cannot be converted: the column ${column} of the order ${id} ${why}. Correct or delete the row; nothing has been changed.`
  )
}
