import { asError } from '../../async/as-error.ts'
import { isoNow } from '../../async/clock.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { failureOf, ORDER_RETRY } from '../failure.ts'
import type { IdentityParts } from '../identity.ts'
import { toPlaced } from '../placed.ts'
import { fail } from '../pricing.ts'
import { addToOutbox } from '../tables/outbox.ts'
import { COLUMNS, fromRow, type OrderRow, SPILLED, toDatetime, WAITING } from '../tables/row.ts'
import { addToTimeline } from '../tables/timeline.ts'
import { addToTotals, transitionOf } from '../tables/totals.ts'

/** SQL condition on `orders`: the next attempt at the order is due. */
export const IS_DUE =
  'NOT EXISTS (SELECT 1 FROM spill_attempts WHERE spill_attempts.order_id = orders.order_id AND spill_attempts.tenant = orders.tenant AND due_at > UTC_TIMESTAMP(3))'

/** SQL condition on `orders`: the row is a spilled order that waits. */
export const IS_WAITING = `status IN ('processing', '${WAITING}')`

/**
 * Returns whether a row is a failed spilled order. Such an order has no message in Redis that could become a dead
 * letter.
 */
export function isFailedSpill({ status, message_id }: Pick<OrderRow, 'status' | 'message_id'>): boolean {
  return status === 'failed' && message_id?.startsWith(SPILLED) === true
}

/** A spilled order, and the request that it was accepted with. */
export interface SpilledOrder extends IdentityParts {
  request_id: string | null
}

/**
 * Records a failed attempt at a spilled order, and sets the time of the next attempt.
 * @returns the number of failed attempts.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function recordAttempt(
  mysql: MysqlStore,
  { order_id, tenant, request_id }: SpilledOrder,
  cause: unknown
): Promise<number> {
  const { name, message } = asError(cause)
  return mysql.transaction(async transaction => {
    const { rows, run } = transaction
    const [row] = await rows<{ attempts: number }>(
      'SELECT attempts FROM spill_attempts WHERE order_id = ? AND tenant = ? FOR UPDATE',
      [order_id, tenant]
    )
    const attempts = (row?.attempts ?? 0) + 1
    const ceiling = Math.min(ORDER_RETRY.max, ORDER_RETRY.base * 2 ** (attempts - 1))
    const pause = Math.ceil(Math.random() * ceiling) * 1000
    await run(
      `INSERT INTO spill_attempts (order_id, tenant, attempts, first_at, last_at, due_at, error, message)
       VALUES (?, ?, ?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND, ?, ?)
       ON DUPLICATE KEY UPDATE attempts = VALUES(attempts), last_at = VALUES(last_at), due_at = VALUES(due_at),
         error = VALUES(error), message = VALUES(message)`,
      [order_id, tenant, attempts, pause, name.slice(0, 100), message.slice(0, 1000)]
    )
    if (attempts < ORDER_RETRY.attempts)
      await addToTimeline(transaction, [
        { order_id, tenant, time: isoNow(), type: 'retried', requestId: request_id, attempt: attempts }
      ])
    return attempts
  })
}

/**
 * Fails a spilled order after its last attempt. The outbox publisher then writes its document, its event and a dead
 * letter to Redis. The row gets the message id of this dead letter, so that a redrive completes the row as for any
 * failed order.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function failSpilled(
  mysql: MysqlStore,
  { order_id, tenant }: IdentityParts,
  cause: Error
): Promise<void> {
  await mysql.transaction(async transaction => {
    const [row] = await transaction.rows<OrderRow & { id: string; tax_rate: string }>(
      `SELECT id, ${COLUMNS}, tax_rate FROM orders WHERE ${IS_WAITING} AND order_id = ? AND tenant = ? FOR UPDATE SKIP LOCKED`,
      [order_id, tenant]
    )
    if (!row) return
    const order = fail(toPlaced(fromRow(row), row.tax_rate), failureOf(cause), isoNow())
    const { failure, updated_at: time } = order
    const at = toDatetime(time)
    await transaction.run(
      "UPDATE orders SET status = 'failed', failure_code = ?, failure_detail = ?, updated_at = ?, processed_at = ?, message_id = ? WHERE id = ?",
      [failure?.code, failure?.detail, at, at, `${SPILLED}${row.id}`, row.id]
    )
    await addToOutbox(transaction, [order])
    await addToTimeline(transaction, [
      { order_id, tenant, time, type: 'failed', requestId: row.request_id, failure }
    ])
    await addToTotals(transaction, [transitionOf('processing', order)])
  })
}
