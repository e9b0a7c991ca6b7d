import { isoNow } from '../clock.ts'
import type { MysqlStore, Transaction } from '../stores/mysql.ts'
import type { OrderRecord } from './order.ts'
import { complete } from './pricing.ts'
import { COLUMNS, fromRow, type OrderRow, toDatetime } from './row.ts'
import { addToTotals } from './totals.ts'

/** Most rows of one transaction. */
const SIZE = 500

/**
 * Completes orders that were accepted straight into MySQL, and notes each one in the outbox, in one transaction. Rows
 * that another worker has in hand are passed over. Redis is not needed.
 * @returns how many were completed; when it is the most of one transaction, there may be more.
 */
export async function completeSpilled(mysql: MysqlStore): Promise<{ completed: number; more: boolean }> {
  const completed = await mysql.transaction(async transaction => {
    const rows = await transaction.rows<OrderRow & { tax_rate: string }>(
      `SELECT ${COLUMNS}, tax_rate FROM orders WHERE status = 'processing' ORDER BY created_at LIMIT ${SIZE} FOR UPDATE SKIP LOCKED`,
      []
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
    await addToTotals(
      transaction,
      orders.map(({ total }) => ({ from: 'processing', to: 'completed', total }))
    )
    return orders.length
  })
  return { completed, more: completed === SIZE }
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
