import { later } from '../../async/clock.ts'
import { DuplicateKey } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { type Ended, type EndKind, noteEnded } from '../audit/ended.ts'
import type { OrderRecord } from '../order.ts'
import { COLUMNS, fromRow, type OrderRow, type StoredOrder, toValues } from '../tables/row.ts'
import { addToTotals, type Transition } from '../tables/totals.ts'

/** A finished order as a message asks for it. */
export interface Draft {
  order: OrderRecord
  messageId: string
  /** Whether it comes back from the dead letters: only then may it complete an order that failed. */
  redriven: boolean
  /** `<epoch>:<number>` among the accepted, for the audit; '' for none. */
  ordinal: string
  partition: number
}

/**
 * What became of a draft, with the order as its row now stands:
 * `written`: the row is new, or had failed and was redriven. `repeated`: this very message had written it before, and
 * was delivered again. `duplicate`: another message, or a client while Redis was away, had the same order accepted; the
 * row is final, unless that client's order waits and this message gives up. `conflict`: the row has another body, which
 * stands.
 */
export interface WriteOutcome {
  kind: 'written' | 'repeated' | 'duplicate' | 'conflict'
  order: OrderRecord
}

interface Plan {
  insert: StoredOrder[]
  finish: { order: StoredOrder; from: 'processing' | 'failed' }[]
  outcomes: WriteOutcome[]
}

const END: Record<WriteOutcome['kind'], EndKind> = {
  written: 'row',
  repeated: 'row',
  duplicate: 'duplicate',
  conflict: 'conflict'
}

/** How often a batch is reconciled when other workers go on inserting the same ids. */
const ATTEMPTS = 5

/**
 * Writes finished orders in one transaction. The plain INSERT of all rows is the rule; only when one of them exists
 * is the batch reconciled row by row under lock. Rows go in id order, so that two workers lock in the same order.
 */
export async function writeBatch(mysql: MysqlStore, drafts: Draft[]): Promise<WriteOutcome[]> {
  const sorted = [...drafts].sort((a, b) =>
    a.order.order_id < b.order.order_id ? -1 : a.order.order_id > b.order.order_id ? 1 : 0
  )
  const outcomes = await write(mysql, sorted)
  const byDraft = new Map(sorted.map((draft, index) => [draft, outcomes[index] as WriteOutcome]))
  return drafts.map(draft => byDraft.get(draft) as WriteOutcome)
}

async function write(mysql: MysqlStore, drafts: Draft[]): Promise<WriteOutcome[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await mysql.transaction(async transaction => {
        const existing = attempt === 1 ? new Map<string, StoredOrder>() : await lock(transaction, drafts)
        const plan = makePlan(drafts, existing)
        await insert(transaction, plan.insert)
        for (const { order } of plan.finish) await finish(transaction, order)
        await noteEnded(transaction, ends(drafts, plan))
        await addToTotals(transaction, transitions(plan))
        return plan.outcomes
      })
    } catch (error) {
      if (!(error instanceof DuplicateKey) || attempt === ATTEMPTS) throw error
    }
  }
}

/** The rows of these orders that exist, locked until the transaction ends. */
async function lock(transaction: Transaction, drafts: Draft[]): Promise<Map<string, StoredOrder>> {
  const rows = await transaction.rows<OrderRow>(
    `SELECT ${COLUMNS} FROM orders WHERE order_id IN (?) ORDER BY order_id FOR UPDATE`,
    [drafts.map(({ order }) => order.order_id)]
  )
  return new Map(rows.map(row => [row.order_id, fromRow(row)]))
}

/** Decides for each draft in turn, given the rows as those before it leave them. */
function makePlan(drafts: Draft[], rows: Map<string, StoredOrder>): Plan {
  const plan: Plan = { insert: [], finish: [], outcomes: [] }
  for (const draft of drafts) {
    const { order, messageId } = draft
    const row = rows.get(order.order_id)
    if (!row) {
      const stored = { ...order, messageId }
      plan.insert.push(stored)
      rows.set(order.order_id, stored)
      plan.outcomes.push({ kind: 'written', order })
      continue
    }
    if (row.amount !== order.amount) {
      plan.outcomes.push({ kind: 'conflict', order: row })
      continue
    }
    // A waiting row was accepted, and counted, on its own while Redis was away: this message is about the same order. It
    // may complete that, but not give it up: the order would have failed, and there would be no letter to redrive.
    const mended = row.status === 'failed' && draft.redriven
    const finished = order.status === 'completed' && (row.status === 'processing' || mended)
    const now = finished ? finishRow(row, order) : row
    if (finished) {
      plan.finish.push({ order: now, from: row.status === 'failed' ? 'failed' : 'processing' })
      rows.set(order.order_id, now)
    }
    const kind = row.messageId !== messageId ? 'duplicate' : finished ? 'written' : 'repeated'
    plan.outcomes.push({ kind, order: now })
  }
  return plan
}

/** The row as the order ends it: not before it was last changed, which another machine's clock may put later. */
function finishRow(row: StoredOrder, order: OrderRecord): StoredOrder {
  const end = later(order.updated_at, row.updated_at)
  return {
    ...order,
    created_at: row.created_at,
    updated_at: end,
    processed_at: end,
    messageId: row.messageId
  }
}

/** How the accepted orders of a batch have ended. */
function ends(drafts: Draft[], { outcomes }: Plan): Ended[] {
  return drafts.map(({ ordinal, partition }, index) => {
    const { kind } = outcomes[index] as WriteOutcome
    return { ordinal, partition, kind: END[kind] }
  })
}

function transitions({ insert: inserted, finish: finished }: Plan): Transition[] {
  return [
    ...inserted.map(order => ({ from: null, to: order.status, total: order.total })),
    ...finished.map(({ order, from }) => ({ from, to: order.status, total: order.total }))
  ]
}

async function insert(transaction: Transaction, orders: StoredOrder[]): Promise<void> {
  if (orders.length === 0) return
  await transaction.run(`INSERT INTO orders (${COLUMNS}) VALUES ?`, [orders.map(toValues)])
}

/** Ends a row that waited or had failed. */
async function finish(transaction: Transaction, order: StoredOrder): Promise<void> {
  const [id, , tax, total, status, , updatedAt, processedAt, , failureCode, failureDetail] = toValues(order)
  await transaction.run(
    'UPDATE orders SET tax = ?, total = ?, status = ?, updated_at = ?, processed_at = ?, failure_code = ?, failure_detail = ? WHERE order_id = ?',
    [tax, total, status, updatedAt, processedAt, failureCode, failureDetail, id]
  )
}
