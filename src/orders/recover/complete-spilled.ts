import type { FastifyBaseLogger } from 'fastify'
import { asError } from '../../async/as-error.ts'
import { isoNow } from '../../async/clock.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { ORDER_RETRY } from '../failure.ts'
import { type IdentityParts, identityOf } from '../identity.ts'
import type { OrderRecord } from '../order.ts'
import { toPlaced } from '../placed.ts'
import { complete } from '../pricing.ts'
import { deleteAttempts } from '../tables/delete-attempts.ts'
import { addToOutbox } from '../tables/outbox.ts'
import { COLUMNS, fromRow, type OrderRow, toDatetime, WAITING } from '../tables/row.ts'
import { addToTotals, transitionOf } from '../tables/totals.ts'
import { failSpilled, IS_DUE, IS_WAITING, recordAttempt, type SpilledOrder } from './spill-attempts.ts'

/** The most rows of one transaction. */
const SIZE = 500

/** The result of one run. */
export interface Completion {
  /** The number of orders that were completed. */
  completed: number
  /** True when there may be more orders to complete. */
  more: boolean
  /** The error of each order that will be tried again, by identity. */
  retrying: Map<string, unknown>
  /** The error of each order that failed after its last attempt, by identity. */
  failed: Map<string, unknown>
}

/**
 * Completes spilled orders and adds them to the outbox, in one transaction. This needs no Redis. Rows that another
 * worker has locked are skipped. When the transaction fails, each order is completed in its own transaction, so that
 * one failing order does not delay the other orders. The failing order is tried again after a pause. After the last
 * failed attempt, the order gets the status `failed`.
 * @throws {StoreUnavailable} when MySQL is unavailable or refuses writes.
 */
export async function completeSpilled(mysql: MysqlStore): Promise<Completion> {
  try {
    // Each statement reads one status, because the index sorts the rows of one status by time.
    const counts = [
      await completeRows(
        mysql,
        `status = 'processing' AND ${IS_DUE} ORDER BY tenant, created_at LIMIT ${SIZE}`
      ),
      await completeRows(
        mysql,
        `status = '${WAITING}' AND ${IS_DUE} ORDER BY tenant, created_at LIMIT ${SIZE}`
      )
    ]
    const completed = counts.reduce((sum, count) => sum + count, 0)
    return { completed, more: counts.includes(SIZE), retrying: new Map(), failed: new Map() }
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    return completeEach(mysql)
  }
}

/**
 * Creates the task that completes spilled orders and logs the result of each run. A run returns true when there may be
 * more orders to complete. A run throws the errors of `completeSpilled`.
 */
export function createSpillCompleter({
  mysql,
  log
}: {
  mysql: MysqlStore
  log: FastifyBaseLogger
}): () => Promise<boolean> {
  const task = 'complete-spilled'
  return async () => {
    const { completed, more, retrying, failed } = await completeSpilled(mysql)
    for (const [order_id, err] of retrying) log.warn({ err, task, order_id }, 'spilled order is tried again')
    for (const [order_id, err] of failed) log.error({ err, task, order_id }, 'spilled order failed')
    if (completed > 0) log.info({ task, orders: completed }, 'spilled orders completed')
    return more
  }
}

async function completeEach(mysql: MysqlStore): Promise<Completion> {
  const rows = await mysql.rows<SpilledOrder>(
    `SELECT order_id, tenant, request_id FROM orders WHERE ${IS_WAITING} AND ${IS_DUE} ORDER BY tenant, created_at LIMIT ${SIZE}`,
    []
  )
  const result: Completion = {
    completed: 0,
    more: rows.length === SIZE,
    retrying: new Map(),
    failed: new Map()
  }
  let writable = false
  for (const row of rows) {
    const identity = identityOf(row)
    try {
      result.completed += await completeRows(
        mysql,
        `${IS_WAITING} AND ${IS_DUE} AND order_id = ? AND tenant = ?`,
        row.order_id,
        row.tenant
      )
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error
      // When MySQL refuses all writes, the failure does not count as an attempt at the order.
      writable ||= await mysql.availability.takesWrites()
      if (!writable) throw new StoreUnavailable('mysql', error)
      const attempts = await recordAttempt(mysql, row, error)
      if (attempts < ORDER_RETRY.attempts) result.retrying.set(identity, error)
      else await fail(mysql, row, asError(error), result)
    }
  }
  return result
}

async function fail(
  mysql: MysqlStore,
  order: IdentityParts,
  cause: Error,
  result: Completion
): Promise<void> {
  try {
    await failSpilled(mysql, order, cause)
    result.failed.set(identityOf(order), cause)
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    result.retrying.set(identityOf(order), error)
  }
}

/** Completes the rows that match a condition, in one transaction. Returns the number of completed rows. */
async function completeRows(mysql: MysqlStore, condition: string, ...values: string[]): Promise<number> {
  return mysql.transaction(async transaction => {
    const rows = await transaction.rows<OrderRow & { tax_rate: string }>(
      `SELECT ${COLUMNS}, tax_rate FROM orders WHERE ${condition} FOR UPDATE SKIP LOCKED`,
      values
    )
    if (rows.length === 0) return 0
    const now = isoNow()
    const orders = rows.map(row => complete(toPlaced(fromRow(row), row.tax_rate), now))
    await finish(transaction, orders)
    await addToOutbox(transaction, orders)
    await deleteAttempts(transaction, orders)
    await addToTotals(
      transaction,
      orders.map(order => transitionOf('processing', order))
    )
    return orders.length
  })
}

/**
 * Writes completed orders to existing rows in one statement. The rows must be locked. Other columns stay unchanged.
 */
async function finish(transaction: Transaction, orders: OrderRecord[]): Promise<void> {
  const rows = orders.map(order => {
    const at = toDatetime(order.updated_at)
    return [
      order.order_id,
      order.tenant,
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
    `INSERT INTO orders (order_id, tenant, amount, tax, total, status, created_at, updated_at, processed_at) VALUES ?
     ON DUPLICATE KEY UPDATE tax = VALUES(tax), total = VALUES(total), status = VALUES(status),
       updated_at = VALUES(updated_at), processed_at = VALUES(processed_at)`,
    [rows]
  )
}
