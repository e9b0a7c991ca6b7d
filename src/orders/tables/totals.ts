import type { Order } from '../../../schema/http/order.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { canonicalAmount, sum } from '../money.ts'

/** Totals over all rows. Counts are safe integers; revenue is decimal text. */
export interface Totals {
  processing: number
  completed: number
  failed: number
  /** Orders that were accepted in MySQL, while Redis was away. */
  accepted: number
  /** Sum of the totals of completed orders. */
  revenue: string
}

/** A row that changed: from which status (null: there was none) to which. */
export interface Transition {
  from: Order['status'] | null
  to: Order['status']
  /** Total of the order as it now stands. */
  total: string | null
}

/** Slots that the migration creates. */
const SLOTS = 32

/** A slot for one transaction. One that lost the wait for its slot draws another when it is done anew. */
export function drawSlot(): number {
  return Math.floor(Math.random() * SLOTS)
}

/**
 * A slot that no other transaction holds, and this one does from now on: for one that has no time to wait for a worker
 * that hangs. It costs a round trip.
 */
export async function takeFreeSlot(transaction: Transaction): Promise<number> {
  const [row] = await transaction.rows<{ slot: number }>(
    'SELECT slot FROM order_totals LIMIT 1 FOR UPDATE SKIP LOCKED',
    []
  )
  return row?.slot ?? drawSlot()
}

/**
 * Adds what a transaction changed to one slot of the totals. Do it last: the slot is the one row that other
 * transactions may want too.
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

export async function readTotals(mysql: MysqlStore): Promise<Totals> {
  const [row] = await mysql.rows<Record<keyof Totals, string>>(
    'SELECT SUM(processing) AS processing, SUM(completed) AS completed, SUM(failed) AS failed, SUM(accepted) AS accepted, SUM(revenue) AS revenue FROM order_totals',
    []
  )
  if (!row) throw new Error('order_totals is empty: the migrations did not finish')
  return {
    processing: Number(row.processing),
    completed: Number(row.completed),
    failed: Number(row.failed),
    accepted: Number(row.accepted),
    revenue: canonicalAmount(row.revenue)
  }
}
