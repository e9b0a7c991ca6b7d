import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { type Details, type DetailsSource, toDetails } from '../details.ts'
import { canonicalAmount } from '../money.ts'
import type { OrderRecord } from '../order.ts'

/** A row of `orders` as the driver returns it. DECIMAL and DATETIME columns are text. */
export interface OrderRow extends Omit<OrderRecord, 'failure' | 'details' | 'status'> {
  status: OrderRecord['status'] | typeof WAITING
  currency: string | null
  customer_id: string | null
  region: string | null
  /** A JSON column. The driver returns a parsed value from MySQL, and text from MariaDB. */
  items: NonNullable<DetailsSource['items']> | string | null
  metadata: NonNullable<DetailsSource['metadata']> | string | null
  message_id: string | null
  request_id: string | null
  failure_code: string | null
  failure_detail: string | null
}

/** An order, as its row has it. */
export interface StoredOrder extends OrderRecord {
  /** The id of the message that created the row; null for a spilled order. */
  messageId: string | null
  /** The request that the order was accepted with; null when it is unknown. */
  requestId: string | null
}

/**
 * The status of a spilled row that waits and needs version 2 of the message. A process of the previous release does not
 * read this status. It completes rows that are `processing`, and would ignore the fields that are new in version 2.
 */
export const WAITING = 'waiting'

/**
 * The beginning of the message id that a spilled order gets when it fails or is cancelled. A spilled order has no
 * message of its own.
 */
export const SPILLED = 'spilled-'

/** The columns of an order of the default tenant without optional fields, in the sequence of `toValues`. */
export const PLAIN_COLUMNS =
  'order_id, amount, tax, total, status, created_at, updated_at, processed_at, message_id, failure_code, failure_detail, request_id'

/** The columns of the optional fields, in the sequence of `toDetailValues`. */
export const DETAIL_COLUMNS = 'currency, customer_id, region, items, metadata'

/** The columns of an order, in the sequence of `toAllValues`. */
export const COLUMNS = `${PLAIN_COLUMNS}, tenant, ${DETAIL_COLUMNS}`

/** Converts a row to an order. Removes trailing zeros from DECIMAL text, and converts DATETIME text to ISO 8601. */
export function fromRow(row: OrderRow): StoredOrder {
  return {
    tenant: row.tenant,
    order_id: row.order_id,
    amount: canonicalAmount(row.amount),
    tax: row.tax === null ? null : canonicalAmount(row.tax),
    total: row.total === null ? null : canonicalAmount(row.total),
    status: row.status === WAITING ? 'processing' : row.status,
    created_at: toIso(row.created_at),
    updated_at: toIso(row.updated_at),
    processed_at: row.processed_at === null ? null : toIso(row.processed_at),
    details: toDetails({
      currency: row.currency,
      customer_id: row.customer_id,
      region: row.region,
      items: parsed(row.items),
      metadata: parsed(row.metadata)
    }),
    failure: row.failure_code === null ? null : { code: row.failure_code, detail: row.failure_detail ?? '' },
    messageId: row.message_id,
    requestId: row.request_id
  }
}

function parsed<T>(json: T | string): T {
  return typeof json === 'string' ? JSON.parse(json) : json
}

/** Inserts new rows in one statement. It names the columns that have a default only when an order uses them. */
export async function insertOrders(transaction: Transaction, orders: StoredOrder[]): Promise<void> {
  if (orders.length === 0) return
  const plain = orders.every(({ details, tenant }) => details === null && tenant === DEFAULT_TENANT)
  await transaction.run(`INSERT INTO orders (${plain ? PLAIN_COLUMNS : COLUMNS}) VALUES ?`, [
    orders.map(plain ? toValues : toAllValues)
  ])
}

/** Converts an order to the values of `COLUMNS`. */
function toAllValues(order: StoredOrder): (string | null)[] {
  return [...toValues(order), order.tenant, ...toDetailValues(order.details)]
}

/** Converts details to the values of `DETAIL_COLUMNS`. */
export function toDetailValues(details: Details | null): (string | null)[] {
  return details === null
    ? [null, null, null, null, null]
    : [details.currency, details.customer_id, details.region, details.items, details.metadata]
}

/** Converts an order to the values of `PLAIN_COLUMNS`. */
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
    order.failure?.detail ?? null,
    order.requestId
  ]
}

/** Converts ISO 8601 in UTC to the text that MySQL accepts, without the Z. */
export function toDatetime(iso: string): string {
  return iso.slice(0, -1)
}

/** Converts DATETIME text to ISO 8601 in UTC. */
export function toIso(datetime: string): string {
  return `${datetime.replace(' ', 'T')}Z`
}
