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
  /** Cancelled orders. While its message still waits, a cancelled order counts as waiting instead. */
  cancelled: number
  /** Spilled orders. They were accepted in MySQL, not in Redis. */
  accepted: number
  /** The sum of the totals of completed orders without a currency; decimal text. */
  revenue: string
  /** The sum of the totals of completed orders for each currency code; decimal text. */
  revenueIn: ReadonlyMap<string, string>
}

/** A row's change of status; `from` is null for a new row. */
export interface Transition {
  from: Order['status'] | null
  to: Order['status']
  /** The total of the order after the change; decimal text. */
  total: string | null
  /** The currency code; '' for an order without a currency. */
  currency: string
}

/** Returns the change from the status `from` to the present status of an order. `from` is null for a new row. */
export function transitionOf(from: Transition['from'], { status, total, details }: OrderRecord): Transition {
  return { from, to: status, total, currency: details?.currency ?? '' }
}

/** The number of slots that the migration creates. */
const SLOTS = 32

/**
 * Chooses a random slot for one transaction. A repeated transaction chooses again, so it cannot wait for one slot
 * forever.
 */
function drawSlot(): number {
  return Math.floor(Math.random() * SLOTS)
}

/**
 * Locks a slot that no other transaction has locked. This costs a round trip. Use it in a transaction that must not
 * wait for a worker that hangs.
 */
export async function takeFreeSlot(transaction: Transaction): Promise<number> {
  const [row] = await transaction.rows<{ slot: number }>(
    'SELECT slot FROM order_totals LIMIT 1 FOR UPDATE SKIP LOCKED',
    []
  )
  return row?.slot ?? drawSlot()
}

/**
 * Adds the changes of a transaction to one slot of the totals. Call this last in the transaction, because other
 * transactions may wait for the slot.
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
  // The UPDATE has locked the slot, so no other transaction changes the revenue rows of this slot.
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
