import { DuplicateKey } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { type Outcome, type OutcomeKind, recordOutcomes } from '../audit/outcomes.ts'
import { compareOrders, identityOf } from '../identity.ts'
import { byIdentity, ORDERS_BY_IDENTITY } from '../tables/by-identity.ts'
import { COLUMNS, fromRow, insertOrders, type OrderRow, type StoredOrder, toValues } from '../tables/row.ts'
import { addToTimeline } from '../tables/timeline.ts'
import { addToTotals } from '../tables/totals.ts'
import {
  type ProcessedOrder,
  planWrites,
  timelineOf,
  transitionsOf,
  type WriteOutcome,
  type WritePlan
} from './plan-writes.ts'

/** The kind of outcome that the audit records for each outcome of a write. */
const OUTCOME_KIND: Record<WriteOutcome['kind'], OutcomeKind> = {
  written: 'row',
  repeated: 'row',
  duplicate: 'duplicate',
  conflict: 'conflict'
}

/** The number of attempts to write a batch while other workers insert the same ids. */
const ATTEMPTS = 5

/** The first attempt assumes that no row exists. */
const NO_ROWS: ReadonlyMap<string, StoredOrder> = new Map()

/**
 * Writes final orders, their outcomes and their totals in one transaction. The first attempt inserts all rows with one
 * statement. When a row exists already, the next attempt locks the rows and decides for each order. The rows are sorted
 * by identity: all workers lock rows in the same sequence, which avoids deadlocks.
 * @returns the outcome of each order, in the sequence of `orders`.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function writeOrders(mysql: MysqlStore, orders: ProcessedOrder[]): Promise<WriteOutcome[]> {
  const sorted = [...orders].sort((a, b) => compareOrders(a.order, b.order))
  const outcomes = await writeSorted(mysql, sorted)
  const byOrder = new Map(sorted.map((order, index) => [order, outcomes[index] as WriteOutcome]))
  return orders.map(order => byOrder.get(order) as WriteOutcome)
}

async function writeSorted(mysql: MysqlStore, orders: ProcessedOrder[]): Promise<WriteOutcome[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await mysql.transaction(async transaction => {
        const plan = planWrites(orders, attempt === 1 ? NO_ROWS : await lockRows(transaction, orders))
        await insertOrders(transaction, plan.insert)
        for (const { order } of plan.finish) await finish(transaction, order)
        for (const order of plan.stamp) await stamp(transaction, order)
        await recordOutcomes(transaction, outcomesOf(orders, plan))
        await addToTimeline(transaction, timelineOf(orders, plan))
        await addToTotals(transaction, transitionsOf(plan))
        return plan.outcomes
      })
    } catch (error) {
      if (!(error instanceof DuplicateKey) || attempt === ATTEMPTS) throw error
    }
  }
}

/** Reads the existing rows of these orders, and locks them until the transaction ends. */
async function lockRows(
  transaction: Transaction,
  orders: ProcessedOrder[]
): Promise<Map<string, StoredOrder>> {
  const { sql, values } = byIdentity(orders.map(({ order }) => identityOf(order)))
  const rows = await transaction.rows<OrderRow>(
    `SELECT ${COLUMNS} FROM ${ORDERS_BY_IDENTITY} WHERE ${sql} ORDER BY order_id, tenant FOR UPDATE`,
    values
  )
  return new Map(rows.map(row => [identityOf(row), fromRow(row)]))
}

/** Converts the outcomes of a batch to the outcomes that the audit records. */
function outcomesOf(orders: ProcessedOrder[], { outcomes }: WritePlan): Outcome[] {
  return orders.map(({ ordinal, partition }, index) => {
    const { kind } = outcomes[index] as WriteOutcome
    return { ordinal, partition, kind: OUTCOME_KIND[kind] }
  })
}

/** Updates a row that waits or has failed to its final state. */
async function finish(transaction: Transaction, order: StoredOrder): Promise<void> {
  const [id, , tax, total, status, , updatedAt, processedAt, , failureCode, failureDetail] = toValues(order)
  await transaction.run(
    'UPDATE orders SET tax = ?, total = ?, status = ?, updated_at = ?, processed_at = ?, failure_code = ?, failure_detail = ? WHERE order_id = ? AND tenant = ?',
    [tax, total, status, updatedAt, processedAt, failureCode, failureDetail, id, order.tenant]
  )
}

/** Writes the ids of the message and of its request to the row of a cancelled order. */
async function stamp(transaction: Transaction, order: StoredOrder): Promise<void> {
  await transaction.run(
    'UPDATE orders SET message_id = ?, request_id = ? WHERE order_id = ? AND tenant = ?',
    [order.messageId, order.requestId, order.order_id, order.tenant]
  )
}
