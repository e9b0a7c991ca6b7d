import { later } from '../../async/clock.ts'
import { haveSameBody, type OrderRecord } from '../order.ts'
import type { StoredOrder } from '../tables/row.ts'
import { type Transition, transitionOf } from '../tables/totals.ts'

/** A final order, as its message requests it. */
export interface ProcessedOrder {
  order: OrderRecord
  messageId: string
  /** Whether an operator redrove the message: only then may it complete an order that failed. */
  redriven: boolean
  /** `<epoch>:<number>` among the accepted orders, for the audit; '' for none. */
  ordinal: string
  partition: number
}

/**
 * The outcome of one message, with the order as its row now is:
 * - `written`: the message made the row, was redriven and completed a failed row, or is that of a cancelled order.
 * - `repeated`: the message had written the row before, and was delivered again.
 * - `duplicate`: another message, or a spilled accept, made the row of the same order. The row is final, unless it is a
 *   spilled row that still waits and this message failed.
 * - `conflict`: the row has another body, and stays as it is.
 */
export interface WriteOutcome {
  kind: 'written' | 'repeated' | 'duplicate' | 'conflict'
  order: OrderRecord
}

/** The writes of one batch, and the outcome of each of its messages. */
export interface WritePlan {
  insert: StoredOrder[]
  finish: { order: StoredOrder; from: 'processing' | 'failed' }[]
  /** Rows of cancelled orders that get their message now. */
  stamp: StoredOrder[]
  outcomes: WriteOutcome[]
}

/** Decides what to write for each order, in turn. `existing` has the rows that exist, by order id. */
export function planWrites(orders: ProcessedOrder[], existing: ReadonlyMap<string, StoredOrder>): WritePlan {
  const plan: WritePlan = { insert: [], finish: [], stamp: [], outcomes: [] }
  /** The rows as the decisions so far leave them. */
  const rows = new Map(existing)
  for (const { order, messageId, redriven } of orders) {
    const row = rows.get(order.order_id)
    if (!row) {
      const stored = { ...order, messageId }
      plan.insert.push(stored)
      rows.set(order.order_id, stored)
      plan.outcomes.push({ kind: 'written', order })
      continue
    }
    if (!haveSameBody(row, order)) {
      plan.outcomes.push({ kind: 'conflict', order: row })
      continue
    }
    // The order was cancelled while its message waited. The row gets the message that it was accepted with.
    if (row.status === 'cancelled' && row.messageId === null) {
      const stamped = { ...row, messageId }
      plan.stamp.push(stamped)
      rows.set(order.order_id, stamped)
      plan.outcomes.push({ kind: 'written', order: stamped })
      continue
    }
    // A spilled row was accepted, and counted, on its own. The message may complete it, but must not fail it: a failed
    // order needs a dead letter that can be redriven, and the message of a duplicate gets none.
    const finishes =
      order.status === 'completed' && (row.status === 'processing' || (row.status === 'failed' && redriven))
    const now = finishes ? finishRow(row, order) : row
    if (finishes) {
      plan.finish.push({ order: now, from: row.status === 'failed' ? 'failed' : 'processing' })
      rows.set(order.order_id, now)
    }
    const kind = row.messageId !== messageId ? 'duplicate' : finishes ? 'written' : 'repeated'
    plan.outcomes.push({ kind, order: now })
  }
  return plan
}

/** The row as the order finishes it. It ends no earlier than its last change: clocks of machines differ. */
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

/** The changes of status that a plan makes, for the totals. */
export function transitionsOf({ insert, finish, stamp }: WritePlan): Transition[] {
  return [
    ...[...insert, ...stamp].map(order => transitionOf(null, order)),
    ...finish.map(({ order, from }) => transitionOf(from, order))
  ]
}
