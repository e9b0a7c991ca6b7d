import type { Order } from '../../../schema/http/order.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { canonicalAmount, sum } from '../money.ts'

/** Totals over all rows. Counts are safe integers; revenue is decimal text. */
export interface Totals {
  processing: number
  completed: number
  failed: number
  /** Spilled orders: accepted in MySQL, not in Redis. */
  accepted: number
  /** Sum of the totals of completed orders. */
  revenue: string
}

/** A row's change of status; `from` is null for a new row. */
export interface Transition {
  from: Order['status'] | null
  to: Order['status']
  /** The order's total now; decimal text. */
  total: string | null
}

/** The number of slots, as the migration creates them. */
const SLOTS = 32

/** Draws a slot for one transaction. A transaction that is repeated draws again, so it does not wait for one slot forever. */
function drawSlot(): number {
  return Math.floor(Math.random() * SLOTS)
}

/**
 * Locks a slot that no other transaction holds, at the cost of a round trip. For a transaction that must not wait for a
 * worker that hangs.
 */
export async function takeFreeSlot(transaction: Transaction): Promise<number> {
  const [row] = await transaction.rows<{ slot: number }>(
    'SELECT slot FROM order_totals LIMIT 1 FOR UPDATE SKIP LOCKED',
    []
  )
  return row?.slot ?? drawSlot()
}

/**
 * Adds the changes of a transaction to one slot of the totals. Call it last: other transactions may wait for the slot.
 */
export async function addToTotals(
  transaction: Transaction,
  transitions: Transition[],
  { accepted = 0, slot = drawSlot() } = {}
): Promise<void> {
  if (transitions.length === 0) return
  const change = (status: Order['status']) =>
    transitions.filter(({ to }) => to === status).length -
    transitions.filter(({ from }) => from === status).length
  const revenue = sum(transitions.filter(({ to }) => to === 'completed').map(({ total }) => total ?? '0'))
  await transaction.run(
    'UPDATE order_totals SET processing = processing + ?, completed = completed + ?, failed = failed + ?, accepted = accepted + ?, revenue = revenue + ? WHERE slot = ?',
    [change('processing'), change('completed'), change('failed'), accepted, revenue, slot]
  )
}

/**
 * Reads the totals over all rows.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readTotals(mysql: MysqlStore): Promise<Totals> {
  const [row] = await mysql.rows<Record<keyof Totals, string>>(
    'SELECT SUM(processing) AS processing, SUM(completed) AS completed, SUM(failed) AS failed, SUM(accepted) AS accepted, SUM(revenue) AS revenue FROM order_totals',
    []
  )
  if (!row) throw new Error('order_totals is empty: the migrations have not finished')
  return {
    processing: Number(row.processing),
    completed: Number(row.completed),
    failed: Number(row.failed),
    accepted: Number(row.accepted),
    revenue: canonicalAmount(row.revenue)
  }
}
