import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import type { Failure, Order } from '../../schema/http/order.ts'
import { type Details, renderDetails, toDetails } from './details.ts'

/**
 * An order inside the service. Money is decimal text in its shortest form; times are UTC ISO 8601 with milliseconds.
 */
export interface OrderRecord {
  tenant: string
  order_id: string
  amount: string
  tax: string | null
  total: string | null
  status: Order['status']
  created_at: string
  updated_at: string
  processed_at: string | null
  /** The optional fields; null for an order that has none. */
  details: Details | null
  /** The reason why the order failed; null for any other status. */
  failure: Failure | null
}

/** Makes a new order that waits for a worker. `amount` and the time `at` have the form that `OrderRecord` requires. */
export function newRecord(
  order_id: string,
  amount: string,
  at: string,
  details: Details | null = null,
  tenant = DEFAULT_TENANT
): OrderRecord {
  return {
    tenant,
    order_id,
    amount,
    tax: null,
    total: null,
    status: 'processing',
    created_at: at,
    updated_at: at,
    processed_at: null,
    details,
    failure: null
  }
}

/**
 * Renders the beginning of a document up to its status. Only the document of the same order in the same state begins
 * with this text. The id is the only text of a client in it, and an id contains no quotes.
 */
export function renderState({ order_id, amount, tax, total, status }: OrderRecord): string {
  return `${startOfDocument(order_id)}"amount":${amount},"tax":${tax},"total":${total},"status":"${status}"`
}

/**
 * Renders the document of an order: the exact text that GET returns and Redis stores. No other function renders it.
 * Money is written as its decimal text, so that no binary float rounds it. Ids and times contain no character to
 * escape.
 */
export function renderDocument(order: OrderRecord): string {
  const processedAt = order.processed_at === null ? 'null' : `"${order.processed_at}"`
  const failure = order.failure === null ? '' : `,"failure":${JSON.stringify(order.failure)}`
  return `${renderState(order)},"created_at":"${order.created_at}","updated_at":"${order.updated_at}","processed_at":${processedAt}${renderDetails(order.details)}${failure}}`
}

/** Returns the beginning of an order's document. No document of another order begins with this text. */
export function startOfDocument(id: string): string {
  return `{"order_id":"${id}",`
}

/**
 * Returns whether a text looks like the document of an order. Checks only the beginning and the end, so it is cheap.
 */
export function isDocumentOf(id: string, text: string): boolean {
  return text.startsWith(startOfDocument(id)) && text.endsWith('}')
}

const STATUS = '"status":"'

/**
 * Returns the status in a document of an order. The first `"status"` in the document is the status of the order,
 * because the text of clients comes later. The same is true for `"updated_at"`. Parsing the JSON would make each read
 * slower.
 */
export function statusOf(document: string): Order['status'] {
  const start = document.indexOf(STATUS) + STATUS.length
  return document.slice(start, document.indexOf('"', start)) as Order['status']
}

const UPDATED_AT = '"updated_at":"'

/** Returns the version of a document. The version changes with each change of the order. It contains no quotes. */
export function versionOfDocument(document: string): string {
  const start = document.indexOf(UPDATED_AT) + UPDATED_AT.length
  return `${statusOf(document)}.${document.slice(start, document.indexOf('"', start))}`
}

/** Returns whether an order and a document have the same body: the same amount and the same optional fields. */
export function hasBodyOf({ amount, details }: OrderRecord, document: string): boolean {
  const other = JSON.parse(document) as Order
  return String(other.amount) === amount && renderDetails(toDetails(other)) === renderDetails(details)
}

/** Returns whether two orders have the same body. */
export function haveSameBody(a: OrderRecord, b: OrderRecord): boolean {
  return a.amount === b.amount && renderDetails(a.details) === renderDetails(b.details)
}

/** Returns whether the orders of two documents have the same body. */
export function haveDocumentsSameBody(a: string, b: string): boolean {
  const [one, other] = [JSON.parse(a) as Order, JSON.parse(b) as Order]
  return one.amount === other.amount && renderDetails(toDetails(one)) === renderDetails(toDetails(other))
}
