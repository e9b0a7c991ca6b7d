import { canonicalAmount } from './money.ts'
import type { OrderRecord } from './order.ts'

/** A row of `orders` as the driver gives it: DECIMAL and DATETIME as text. */
export type OrderRow = OrderRecord

export const COLUMNS = 'order_id, amount, tax, total, status, created_at, updated_at, processed_at'

/** A row as a record: DECIMAL text loses its trailing zeros, DATETIME text becomes ISO 8601. */
export function fromRow(row: OrderRow): OrderRecord {
  return {
    order_id: row.order_id,
    amount: canonicalAmount(row.amount),
    tax: row.tax === null ? null : canonicalAmount(row.tax),
    total: row.total === null ? null : canonicalAmount(row.total),
    status: row.status,
    created_at: toIso(row.created_at),
    updated_at: toIso(row.updated_at),
    processed_at: row.processed_at === null ? null : toIso(row.processed_at)
  }
}

/** A record as the values of `COLUMNS`. */
export function toValues(order: OrderRecord): unknown[] {
  return [
    order.order_id,
    order.amount,
    order.tax,
    order.total,
    order.status,
    toDatetime(order.created_at),
    toDatetime(order.updated_at),
    order.processed_at === null ? null : toDatetime(order.processed_at)
  ]
}

function toIso(datetime: string): string {
  return `${datetime.replace(' ', 'T')}Z`
}

/** ISO 8601 in UTC as MySQL takes it: 2026-01-31 12:00:00.000 */
function toDatetime(iso: string): string {
  return iso.slice(0, 23).replace('T', ' ')
}
