import { later } from '../../async/clock.ts'
import type { Redrive } from '../../streams/function.ts'
import { identityOf } from '../identity.ts'
import { haveSameBody, type OrderRecord } from '../order.ts'
import type { StoredOrder } from '../tables/row.ts'
import type { TimelineEntry } from '../tables/timeline.ts'
import { type Transition, transitionOf } from '../tables/totals.ts'

/** A final order, in the state that its message requests. */
export interface ProcessedOrder {
  order: OrderRecord
  messageId: string
  /** The request that the order was accepted with; '' when it is unknown. */
  requestId: string
  /** True when an operator redrove the message. Only a redriven message may complete an order that failed. */
  redriven: boolean
  /** The last redrive of the message, when it is known. */
  redrive?: Redrive | undefined
  /** The ordinal, `<epoch>:<number>`, for the audit; '' for an order that Redis did not count. */
  ordinal: string
  partition: number
}

/**
 * The outcome of one message. `order` is the order as its row is after the batch.
 * - `written`: the message created the row, or it was redriven and completed a failed row, or its order was cancelled.
 * - `repeated`: an earlier delivery of the same message wrote the row.
 * - `duplicate`: another message, or a spilled accept, created the row of the same order. The row is final, unless this
 *   message failed and the row is a spilled row that still waits.
 * - `conflict`: the row has another body. The row stays unchanged.
 */
export interface WriteOutcome {
  kind: 'written' | 'repeated' | 'duplicate' | 'conflict'
  order: OrderRecord
}

/** The writes of one batch, and the outcome of each of its messages. */
export interface WritePlan {
  insert: StoredOrder[]
  finish: { order: StoredOrder; from: 'processing' | 'failed' }[]
  /** Rows of cancelled orders that get the ids of their message and request now. */
  stamp: StoredOrder[]
  outcomes: WriteOutcome[]
}

/** Decides what to write, one order after the other. `existing` are the rows that exist, by identity. */
export function planWrites(orders: ProcessedOrder[], existing: ReadonlyMap<string, StoredOrder>): WritePlan {
  const plan: WritePlan = { insert: [], finish: [], stamp: [], outcomes: [] }
  /** The rows with the writes that are decided so far. */
  const rows = new Map(existing)
  for (const { order, messageId, requestId, redriven } of orders) {
    const id = identityOf(order)
    const row = rows.get(id)
    if (!row) {
      const stored = { ...order, messageId, requestId: requestId || null }
      plan.insert.push(stored)
      rows.set(id, stored)
      plan.outcomes.push({ kind: 'written', order })
      continue
    }
    if (!haveSameBody(row, order)) {
      plan.outcomes.push({ kind: 'conflict', order: row })
      continue
    }
    // The order was cancelled while its message waited. The row gets the ids of this message now.
    if (row.status === 'cancelled' && row.messageId === null) {
      const stamped = { ...row, messageId, requestId: requestId || null }
      plan.stamp.push(stamped)
      rows.set(id, stamped)
      plan.outcomes.push({ kind: 'written', order: stamped })
      continue
    }
    // A spilled row is an accepted order of its own in the audit. The message of a duplicate may complete this row, but
    // must not fail it: a failed order needs a dead letter to redrive, and a duplicate is not dead-lettered.
    const finishes =
      order.status === 'completed' && (row.status === 'processing' || (row.status === 'failed' && redriven))
    const now = finishes ? finishRow(row, order) : row
    if (finishes) {
      plan.finish.push({ order: now, from: row.status === 'failed' ? 'failed' : 'processing' })
      rows.set(id, now)
    }
    const kind = row.messageId !== messageId ? 'duplicate' : finishes ? 'written' : 'repeated'
    plan.outcomes.push({ kind, order: now })
  }
  return plan
}

/** Returns the finished row. Clocks of machines differ, so its end is never before its last change. */
function finishRow(row: StoredOrder, order: OrderRecord): StoredOrder {
  const end = later(order.updated_at, row.updated_at)
  return {
    ...order,
    created_at: row.created_at,
    updated_at: end,
    processed_at: end,
    messageId: row.messageId,
    requestId: row.requestId
  }
}

/** Returns the changes of status in a plan, for the totals. */
export function transitionsOf({ insert, finish, stamp }: WritePlan): Transition[] {
  return [
    ...[...insert, ...stamp].map(order => transitionOf(null, order)),
    ...finish.map(({ order, from }) => transitionOf(from, order))
  ]
}

/**
 * Returns what a batch adds to the timelines of its orders: redrives, and failures. The row of an order shows the rest.
 */
export function timelineOf(orders: ProcessedOrder[], { outcomes }: WritePlan): TimelineEntry[] {
  return orders.flatMap(({ order, requestId, redriven, redrive }, index) => {
    const { kind, order: row } = outcomes[index] as WriteOutcome
    const isOwn = kind === 'written' || kind === 'repeated'
    const { order_id, tenant } = order
    const entries: TimelineEntry[] = []
    if (redrive && isOwn)
      entries.push({ order_id, tenant, time: redrive.at, type: 'redriven', requestId: redrive.requestId })
    if (row.status === 'failed' && order.status === 'failed' && isOwn && (kind === 'written' || redriven))
      entries.push({
        order_id,
        tenant,
        time: order.updated_at,
        type: 'failed',
        requestId,
        failure: order.failure
      })
    return entries
  })
}
