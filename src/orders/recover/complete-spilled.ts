import { asError } from '../../async/as-error.ts'
import { isoNow } from '../../async/clock.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { ORDER_RETRY } from '../failure.ts'
import type { OrderRecord } from '../order.ts'
import { complete } from '../pricing.ts'
import { COLUMNS, fromRow, type OrderRow, toDatetime } from '../tables/row.ts'
import { addToTotals } from '../tables/totals.ts'
import { deleteAttempts, giveUp, IS_DUE, noteAttempt } from './spill-attempts.ts'

/** Most rows of one transaction. */
const SIZE = 500

/** What a run has done; there may be more for the next one. */
export interface Sweep {
  completed: number
  more: boolean
  /** Why orders could not be completed, by their ids: they are tried again. */
  failed: Map<string, unknown>
  /** Why orders have failed for good, by their ids. */
  givenUp: Map<string, unknown>
}

/**
 * Completes orders that were accepted straight into MySQL, and notes each one in the outbox, in one transaction. Rows
 * that another worker has in hand are passed over. Redis is not needed. When an order fails, the rows have a transaction
 * each, so that it holds up no other; it is tried again after a pause, and is a failed order after the last attempt.
 * @throws {StoreUnavailable} when MySQL is away.
 */
export async function completeSpilled(mysql: MysqlStore): Promise<Sweep> {
  try {
    const completed = await completeRows(mysql, `ORDER BY created_at LIMIT ${SIZE}`)
    return { completed, more: completed === SIZE, failed: new Map(), givenUp: new Map() }
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    return completeEach(mysql)
  }
}

async function completeEach(mysql: MysqlStore): Promise<Sweep> {
  const rows = await mysql.rows<{ order_id: string }>(
    `SELECT order_id FROM orders WHERE status = 'processing' AND ${IS_DUE} ORDER BY created_at LIMIT ${SIZE}`,
    []
  )
  const sweep: Sweep = { completed: 0, more: rows.length === SIZE, failed: new Map(), givenUp: new Map() }
  let writable = false
  for (const { order_id } of rows) {
    try {
      sweep.completed += await completeRows(mysql, 'AND order_id = ?', order_id)
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error
      // A MySQL that takes no writes is no fault of the order.
      writable ||= await mysql.availability.takesWrites()
      if (!writable) throw new StoreUnavailable('mysql', error)
      const attempts = await noteAttempt(mysql, order_id, error)
      if (attempts < ORDER_RETRY.attempts) sweep.failed.set(order_id, error)
      else await endAsFailed(mysql, order_id, asError(error), sweep)
    }
  }
  return sweep
}

async function endAsFailed(mysql: MysqlStore, orderId: string, cause: Error, sweep: Sweep): Promise<void> {
  try {
    await giveUp(mysql, orderId, cause)
    sweep.givenUp.set(orderId, cause)
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    sweep.failed.set(orderId, error)
  }
}

/** Completes waiting rows in one transaction; gives how many. */
async function completeRows(mysql: MysqlStore, which: string, ...values: string[]): Promise<number> {
  return mysql.transaction(async transaction => {
    const rows = await transaction.rows<OrderRow & { tax_rate: string }>(
      `SELECT ${COLUMNS}, tax_rate FROM orders WHERE status = 'processing' AND ${IS_DUE} ${which} FOR UPDATE SKIP LOCKED`,
      values
    )
    if (rows.length === 0) return 0
    const now = isoNow()
    const orders = rows.map(row => {
      const { order_id, amount, created_at } = fromRow(row)
      return complete({ order_id, amount, tax_rate: row.tax_rate, accepted_at: created_at }, now)
    })
    await finish(transaction, orders)
    await transaction.run('INSERT INTO outbox (order_id) VALUES ?', [
      orders.map(({ order_id }) => [order_id])
    ])
    await deleteAttempts(
      transaction,
      orders.map(({ order_id }) => order_id)
    )
    await addToTotals(
      transaction,
      orders.map(({ total }) => ({ from: 'processing', to: 'completed', total }))
    )
    return orders.length
  })
}

/** Completes rows that exist and are locked: all in one statement, the row's other columns as they are. */
async function finish(transaction: Transaction, orders: OrderRecord[]): Promise<void> {
  const rows = orders.map(order => {
    const at = toDatetime(order.updated_at)
    return [
      order.order_id,
      order.amount,
      order.tax,
      order.total,
      'completed',
      toDatetime(order.created_at),
      at,
      at
    ]
  })
  await transaction.run(
    `INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at) VALUES ?
     ON DUPLICATE KEY UPDATE tax = VALUES(tax), total = VALUES(total), status = VALUES(status),
       updated_at = VALUES(updated_at), processed_at = VALUES(processed_at)`,
    [rows]
  )
}
