import { isoNow, later } from '../../async/clock.ts'
import { DuplicateKey, StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { OrderFinal, OrderNotFound } from '../errors.ts'
import { fromDocument } from '../from-document.ts'
import { type IdentityParts, parseIdentity } from '../identity.ts'
import { type OrderRecord, renderDocument } from '../order.ts'
import { deleteAttempts } from '../tables/delete-attempts.ts'
import { addToOutbox } from '../tables/outbox.ts'
import { COLUMNS, fromRow, insertOrders, type OrderRow, SPILLED, toDatetime } from '../tables/row.ts'
import { addToTimeline } from '../tables/timeline.ts'
import { addToTotals, transitionOf } from '../tables/totals.ts'

/** The number of attempts at a cancel while other transactions insert the same row. */
const ATTEMPTS = 5

/** Cancels orders, for one api process. */
export interface Canceller {
  /**
   * Cancels an order that is processing, and returns its document. An order that is cancelled already stays unchanged.
   * `requestId` names the request in the timeline.
   * @throws {OrderNotFound} when neither store has the order.
   * @throws {OrderFinal} when the order is completed or failed.
   * @throws {StoreUnavailable} when a store is unavailable, or a running process may not support cancelled orders.
   */
  cancel: (identity: string, requestId: string) => Promise<string>
}

/** The dependencies of the canceller. */
export interface CancellerOptions {
  mysql: MysqlStore
  /** Reads the document of an order from Redis. Returns undefined when Redis has no document. */
  documentOf: (identity: string) => Promise<string | undefined>
  /** Returns whether every running process supports cancelled orders. */
  isKnown: () => boolean
}

/**
 * Creates the canceller. A cancel and a worker may write the same order at the same time. The first write of the row in
 * MySQL decides the status. The order's message stays in Redis. The order counts as waiting until a worker processes
 * the message and writes its id to the row.
 */
export function createCanceller({ mysql, documentOf, isKnown }: CancellerOptions): Canceller {
  return {
    cancel: async (identity, requestId) => {
      if (!isKnown())
        throw new StoreUnavailable(
          'redis',
          new Error('a process may run that does not know cancelled orders')
        )
      const document = await documentOf(identity)
      for (let attempt = 1; ; attempt++) {
        try {
          return renderDocument(
            await mysql.transaction(
              transaction => cancelIn(transaction, parseIdentity(identity), document, requestId),
              'short'
            )
          )
        } catch (error) {
          if (!(error instanceof DuplicateKey)) throw error
          if (attempt === ATTEMPTS) throw new StoreUnavailable('mysql', error)
        }
      }
    }
  }
}

async function cancelIn(
  transaction: Transaction,
  identity: IdentityParts,
  document: string | undefined,
  requestId: string
): Promise<OrderRecord> {
  const [row] = await transaction.rows<OrderRow & { id: string }>(
    `SELECT id, ${COLUMNS} FROM orders WHERE order_id = ? AND tenant = ? FOR UPDATE`,
    [identity.order_id, identity.tenant]
  )
  if (!row && document === undefined) throw new OrderNotFound(identity.order_id)
  const known = row ? fromRow(row) : fromDocument(document as string, identity.tenant)
  if (known.status === 'cancelled') return known
  if (known.status !== 'processing') throw new OrderFinal(identity.order_id, known.status)
  const at = later(isoNow(), known.updated_at)
  const order: OrderRecord = { ...known, status: 'cancelled', updated_at: at, processed_at: at }
  if (row) await cancelSpilled(transaction, row.id, order)
  else await insertOrders(transaction, [{ ...order, messageId: null, requestId: null }])
  await addToOutbox(transaction, [order])
  const { order_id, tenant } = order
  await addToTimeline(transaction, [{ order_id, tenant, time: at, type: 'cancelled', requestId }])
  return order
}

/**
 * Cancels a spilled row. A spilled order has no message in Redis. The row therefore gets a message id of its own, and
 * the totals count the cancelled order at once.
 */
async function cancelSpilled(transaction: Transaction, rowId: string, order: OrderRecord): Promise<void> {
  const at = toDatetime(order.updated_at)
  await transaction.run(
    "UPDATE orders SET status = 'cancelled', updated_at = ?, processed_at = ?, message_id = ? WHERE id = ?",
    [at, at, `${SPILLED}${rowId}`, rowId]
  )
  await deleteAttempts(transaction, [order])
  await addToTotals(transaction, [transitionOf('processing', order)])
}
