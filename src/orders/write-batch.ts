import { DuplicateKey } from '../stores/errors.ts'
import type { MysqlStore, Transaction } from '../stores/mysql.ts'
import { sum } from './money.ts'
import type { OrderRecord } from './order.ts'
import { COLUMNS, fromRow, type OrderRow, toValues } from './row.ts'

/**
 * What became of one order of a batch, with the order as its row now stands:
 * `written`: there was no row or a `processing` one; it is final now. `duplicate`: it was final already, with the
 * same body, and nothing changed. `conflict`: the row has another body, which stands.
 */
export interface WriteOutcome {
  kind: 'written' | 'duplicate' | 'conflict'
  order: OrderRecord
}

/** What a transaction does: rows that are new, rows that waited, and how each row stands afterwards, by id. */
interface Plan {
  insert: OrderRecord[]
  finish: OrderRecord[]
  rows: Map<string, OrderRecord>
}

/** Slots of `order_totals`, as the migration creates them. */
const SLOTS = 32

/** How often a batch is reconciled when other workers go on inserting the same ids. */
const ATTEMPTS = 5

/**
 * Writes finished orders in one transaction. The plain INSERT of all rows is the rule; only when one of them exists
 * is the batch reconciled row by row under lock. Rows go in id order, so that two workers lock in the same order.
 */
export async function writeBatch(mysql: MysqlStore, orders: OrderRecord[]): Promise<WriteOutcome[]> {
  const sorted = [...orders].sort((a, b) => (a.order_id < b.order_id ? -1 : a.order_id > b.order_id ? 1 : 0))
  const plan = await write(mysql, sorted)
  const written = new Set([...plan.insert, ...plan.finish])
  return orders.map(order => {
    const row = plan.rows.get(order.order_id) as OrderRecord
    if (written.has(order)) return { kind: 'written', order: row }
    return { kind: row.amount === order.amount ? 'duplicate' : 'conflict', order: row }
  })
}

async function write(mysql: MysqlStore, orders: OrderRecord[]): Promise<Plan> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await mysql.transaction(async transaction => {
        const existing = attempt === 1 ? new Map<string, OrderRecord>() : await lock(transaction, orders)
        const plan = makePlan(orders, existing)
        await insert(transaction, plan.insert)
        for (const order of plan.finish) await finish(transaction, order)
        await addToTotals(transaction, plan)
        return plan
      })
    } catch (error) {
      if (!(error instanceof DuplicateKey) || attempt === ATTEMPTS) throw error
    }
  }
}

/** The rows of these orders that exist, locked until the transaction ends. */
async function lock(transaction: Transaction, orders: OrderRecord[]): Promise<Map<string, OrderRecord>> {
  const rows = await transaction.rows<OrderRow>(
    `SELECT ${COLUMNS} FROM orders WHERE order_id IN (?) ORDER BY order_id FOR UPDATE`,
    [orders.map(order => order.order_id)]
  )
  return new Map(rows.map(row => [row.order_id, fromRow(row)]))
}

/**
 * Decides for each order in turn, given the rows before it: no row is made one; a waiting row with the same body is
 * finished and keeps the time at which it was accepted; any other row stands.
 */
function makePlan(orders: OrderRecord[], existing: Map<string, OrderRecord>): Plan {
  const plan: Plan = { insert: [], finish: [], rows: existing }
  for (const order of orders) {
    const row = plan.rows.get(order.order_id)
    if (!row) {
      plan.insert.push(order)
      plan.rows.set(order.order_id, order)
    } else if (row.status === 'processing' && row.amount === order.amount) {
      plan.finish.push(order)
      plan.rows.set(order.order_id, { ...order, created_at: row.created_at })
    }
  }
  return plan
}

async function insert(transaction: Transaction, orders: OrderRecord[]): Promise<void> {
  if (orders.length === 0) return
  await transaction.run(`INSERT INTO orders (${COLUMNS}) VALUES ?`, [orders.map(toValues)])
}

/** Ends a row that waited. */
async function finish(transaction: Transaction, order: OrderRecord): Promise<void> {
  const [id, , tax, total, status, , updatedAt, processedAt] = toValues(order)
  await transaction.run(
    'UPDATE orders SET tax = ?, total = ?, status = ?, updated_at = ?, processed_at = ? WHERE order_id = ?',
    [tax, total, status, updatedAt, processedAt, id]
  )
}

/**
 * Adds the transitions of this transaction to one slot of the totals. It comes last, since it is the one row that
 * others may want too; a transaction that lost the wait for it draws another slot when it is done anew.
 */
async function addToTotals(transaction: Transaction, plan: Plan): Promise<void> {
  const final = [...plan.insert, ...plan.finish]
  if (final.length === 0) return
  const completed = final.filter(order => order.status === 'completed')
  await transaction.run(
    'UPDATE order_totals SET processing = processing - ?, completed = completed + ?, failed = failed + ?, revenue = revenue + ? WHERE slot = ?',
    [
      plan.finish.length,
      completed.length,
      final.length - completed.length,
      sum(completed.map(order => order.total ?? '0')),
      Math.floor(Math.random() * SLOTS)
    ]
  )
}
