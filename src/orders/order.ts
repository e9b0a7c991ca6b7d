import type { Failure, Order } from '../../schema/http/order.ts'
import { type Details, renderDetails, toDetails } from './details.ts'

/** An order inside the service: money as decimal text in its shortest form, times as UTC ISO 8601 with milliseconds. */
export interface OrderRecord {
  order_id: string
  amount: string
  tax: string | null
  total: string | null
  status: Order['status']
  created_at: string
  updated_at: string
  processed_at: string | null
  /** The optional fields; null for an order without any. */
  details: Details | null
  /** The reason why it failed; null for any other status. */
  failure: Failure | null
}

/** A new order that waits to be processed. `amount` is decimal text in its shortest form, `at` a time as above. */
export function newRecord(
  order_id: string,
  amount: string,
  at: string,
  details: Details | null = null
): OrderRecord {
  return {
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
 * Renders the beginning of a document up to its status. The document of an order in the same state begins so, and no
 * other. It holds no text of a client but the id, which has no quotes.
 */
export function renderState({ order_id, amount, tax, total, status }: OrderRecord): string {
  return `${startOfDocument(order_id)}"amount":${amount},"tax":${tax},"total":${total},"status":"${status}"`
}

/**
 * Renders the document of an order: the exact text that GET answers and Redis keeps. Nothing else renders it. Money is
 * written as its digits, so that no binary float rounds it. Ids and times have no character to escape.
 */
export function renderDocument(order: OrderRecord): string {
  const processedAt = order.processed_at === null ? 'null' : `"${order.processed_at}"`
  const failure = order.failure === null ? '' : `,"failure":${JSON.stringify(order.failure)}`
  return `${renderState(order)},"created_at":"${order.created_at}","updated_at":"${order.updated_at}","processed_at":${processedAt}${renderDetails(order.details)}${failure}}`
}

/** The beginning of an order's document; no other order's document begins like it. */
export function startOfDocument(id: string): string {
  return `{"order_id":"${id}",`
}

/** Returns whether a text looks like the document of an order. Checks its beginning and end only, so it is cheap. */
export function isDocumentOf(id: string, text: string): boolean {
  return text.startsWith(startOfDocument(id)) && text.endsWith('}')
}

const STATUS = '"status":"'

/**
 * The status in a document of an order. It stands before all text of clients, so the first one is the order's own, and
 * so is the first time of the last change. Parsing each read would cost more.
 */
export function statusOf(document: string): Order['status'] {
  const start = document.indexOf(STATUS) + STATUS.length
  return document.slice(start, document.indexOf('"', start)) as Order['status']
}

const UPDATED_AT = '"updated_at":"'

/** The version of a document: it changes with each change of the order. It has no quotes. */
export function versionOfDocument(document: string): string {
  const start = document.indexOf(UPDATED_AT) + UPDATED_AT.length
  return `${statusOf(document)}.${document.slice(start, document.indexOf('"', start))}`
}

/** Returns whether an order has the same body as the order of a document: the amount, and each optional field. */
export function hasBodyOf({ amount, details }: OrderRecord, document: string): boolean {
  const other = JSON.parse(document) as Order
  return String(other.amount) === amount && renderDetails(toDetails(other)) === renderDetails(details)
}

/** Returns whether two orders have the same body. */
export function haveSameBody(a: OrderRecord, b: OrderRecord): boolean {
  return a.amount === b.amount && renderDetails(a.details) === renderDetails(b.details)
}
