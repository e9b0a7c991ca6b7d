import type { Pool, RowDataPacket } from 'mysql2/promise'
import type { NewOrder } from '../../../../schema/http/order.ts'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { canonicalAmount } from '../../../../src/orders/money.ts'
import { newRecord, renderDocument } from '../../../../src/orders/order.ts'
import { complete } from '../../../../src/orders/pricing.ts'
import {
  COLUMNS,
  fromRow,
  type OrderRow,
  PLAIN_COLUMNS,
  type StoredOrder,
  toValues
} from '../../../../src/orders/tables/row.ts'
import { fromMysql } from '../../../../src/stores/driver-errors.ts'
import { DuplicateKey } from '../../../../src/stores/errors.ts'

/** The time for which the document of a completed order stays in Redis, in seconds. */
export const DOCUMENT_TTL = 3600

const TAX_RATE = '0.18'
const INSERT = `INSERT INTO orders (${PLAIN_COLUMNS}) VALUES (${PLAIN_COLUMNS.replaceAll(/\w+/g, '?')})`
const SELECT = `SELECT ${COLUMNS} FROM orders WHERE order_id = ?`

/** Returns the Redis key of the document of an order. */
export function documentKey(prefix: string, id: string): string {
  return `${prefix}:doc:${id}`
}

/** Returns the document of a new order and the message for the worker. */
export function accept(body: NewOrder): { document: string; message: OrderPlaced } {
  const message = place(body)
  const order = newRecord(message.order_id, message.amount, message.accepted_at)
  return { document: renderDocument(order), message }
}

/** Returns the message of a new order. */
export function place({ order_id, amount }: NewOrder): OrderPlaced {
  const accepted_at = new Date().toISOString()
  return { order_id, amount: canonicalAmount(amount), tax_rate: TAX_RATE, accepted_at }
}

/** Returns the completed order of a message. `messageId` is a column of its row. */
export function completeOrder(message: OrderPlaced, messageId: string): StoredOrder {
  return { ...complete(message, new Date().toISOString()), messageId, requestId: null }
}

/** Inserts the row of an order. Keeps an existing row, because then the message was delivered before. */
export async function insertOrder(pool: Pool, order: StoredOrder): Promise<void> {
  try {
    // The connection caches the prepared statement, as mysql2 recommends.
    await pool.execute(INSERT, toValues(order))
  } catch (error) {
    if (!(fromMysql(error) instanceof DuplicateKey)) throw error
  }
}

/** Reads the document of an order from its row. */
export async function findRow(pool: Pool, id: string): Promise<string | undefined> {
  const [[row]] = await pool.execute<(OrderRow & RowDataPacket)[]>(SELECT, [id])
  return row && renderDocument(fromRow(row))
}
