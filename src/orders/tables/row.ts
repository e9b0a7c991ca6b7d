import { canonicalAmount } from '../money.ts'
import type { OrderRecord } from '../order.ts'

/** A row of `orders` as the driver returns it: DECIMAL and DATETIME as text. */
export interface OrderRow extends Omit<OrderRecord, 'failure'> {
  message_id: string | null
  failure_code: string | null
  failure_detail: string | null
}

/** An order with the id of the message that made its row; null for a spilled order. */
export interface StoredOrder extends OrderRecord {
  messageId: string | null
}

/** The columns of an order, in the order of `toValues`. */
export const COLUMNS =
  'order_id, amount, tax, total, status, created_at, updated_at, processed_at, message_id, failure_code, failure_detail'

/** Converts a row to an order: DECIMAL text loses its trailing zeros, DATETIME text becomes ISO 8601. */
export function fromRow(row: OrderRow): StoredOrder {
  return {
    order_id: row.order_id,
    amount: canonicalAmount(row.amount),
    tax: row.tax === null ? null : canonicalAmount(row.tax),
    total: row.total === null ? null : canonicalAmount(row.total),
    status: row.status,
    created_at: toIso(row.created_at),
    updated_at: toIso(row.updated_at),
    processed_at: row.processed_at === null ? null : toIso(row.processed_at),
    failure: row.failure_code === null ? null : { code: row.failure_code, detail: row.failure_detail ?? '' },
    messageId: row.message_id
  }
}

/** Converts an order to the values of `COLUMNS`. */
export function toValues(order: StoredOrder): (string | null)[] {
  return [
    order.order_id,
    order.amount,
    order.tax,
    order.total,
    order.status,
    toDatetime(order.created_at),
    toDatetime(order.updated_at),
    order.processed_at === null ? null : toDatetime(order.processed_at),
    order.messageId,
    order.failure?.code ?? null,
    order.failure?.detail ?? null
  ]
}

/** Converts ISO 8601 in UTC to the text that MySQL takes: without the Z. */
export function toDatetime(iso: string): string {
  return iso.slice(0, -1)
}

/** Converts DATETIME text to ISO 8601 in UTC. */
export function toIso(datetime: string): string {
  return `${datetime.replace(' ', 'T')}Z`
}
