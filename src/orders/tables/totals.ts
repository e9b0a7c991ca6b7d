import type { Order } from '../../../schema/http/order.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { canonicalAmount, sum } from '../money.ts'
import type { OrderRecord } from '../order.ts'

/** Totals over all rows. Counts are safe integers. */
export interface Totals {
  processing: number
  completed: number
  failed: number
  /** Without the cancelled orders whose messages still wait: these count as waiting. */
  cancelled: number
  /** Spilled orders: accepted in MySQL, not in Redis. */
  accepted: number
  /** Sum of the totals of completed orders without a currency; decimal text. */
  revenue: string
  /** The same for orders with a currency, by its code. */
  revenueIn: ReadonlyMap<string, string>
}

/** A row's change of status; `from` is null for a new row. */
export interface Transition {
  from: Order['status'] | null
  to: Order['status']
  /** The order's total now; decimal text. */
  total: string | null
  /** '' for none. */
  currency: string
}

/** The change that made an order what it is now; `from` is null for a new row. */
export function transitionOf(from: Transition['from'], { status, total, details }: OrderRecord): Transition {
  return { from, to: status, total, currency: details?.currency ?? '' }
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
  const completed = transitions.filter(({ to }) => to === 'completed')
  const revenueIn = (currency: string) =>
    sum(completed.filter(own => own.currency === currency).map(({ total }) => total ?? '0'))
  await transaction.run(
    'UPDATE order_totals SET processing = processing + ?, completed = completed + ?, failed = failed + ?, cancelled = cancelled + ?, accepted = accepted + ?, revenue = revenue + ? WHERE slot = ?',
    [
      change('processing'),
      change('completed'),
      change('failed'),
      change('cancelled'),
      accepted,
      revenueIn(''),
      slot
    ]
  )
  const currencies = new Set(completed.map(({ currency }) => currency).filter(currency => currency !== ''))
  if (currencies.size === 0) return
  // The slot is locked by now, so no other transaction changes its rows of revenue.
  await transaction.run(
    'INSERT INTO order_revenue (slot, currency, revenue) VALUES ? ON DUPLICATE KEY UPDATE revenue = revenue + VALUES(revenue)',
    [[...currencies].map(currency => [slot, currency, revenueIn(currency)])]
  )
}

/**
 * Reads the totals over all rows.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readTotals(mysql: MysqlStore): Promise<Totals> {
  const [[row], currencies] = await Promise.all([
    mysql.rows<Record<'processing' | 'completed' | 'failed' | 'cancelled' | 'accepted' | 'revenue', string>>(
      'SELECT SUM(processing) AS processing, SUM(completed) AS completed, SUM(failed) AS failed, SUM(cancelled) AS cancelled, SUM(accepted) AS accepted, SUM(revenue) AS revenue FROM order_totals',
      []
    ),
    mysql.rows<{ currency: string; revenue: string }>(
      'SELECT currency, SUM(revenue) AS revenue FROM order_revenue GROUP BY currency ORDER BY currency',
      []
    )
  ])
  if (!row) throw new Error('order_totals is empty: the migrations have not finished')
  return {
    processing: Number(row.processing),
    completed: Number(row.completed),
    failed: Number(row.failed),
    cancelled: Number(row.cancelled),
    accepted: Number(row.accepted),
    revenue: canonicalAmount(row.revenue),
    revenueIn: new Map(currencies.map(own => [own.currency, canonicalAmount(own.revenue)]))
  }
}
