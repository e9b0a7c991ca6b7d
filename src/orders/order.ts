import type { Failure, Order } from '../../schema/http/order.ts'

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
  /** Why it failed; null for any other status. */
  failure: Failure | null
}

/** A new order that waits to be processed. `amount` is decimal text in its shortest form, `at` a time as above. */
export function newRecord(order_id: string, amount: string, at: string): OrderRecord {
  return {
    order_id,
    amount,
    tax: null,
    total: null,
    status: 'processing',
    created_at: at,
    updated_at: at,
    processed_at: null,
    failure: null
  }
}

/**
 * Renders the document of an order: the exact text that GET answers and Redis keeps. Nothing else renders it. Money is
 * written as its digits, so that no binary float rounds it. Ids and times have no character to escape.
 */
export function renderDocument(order: OrderRecord): string {
  const processedAt = order.processed_at === null ? 'null' : `"${order.processed_at}"`
  const failure = order.failure === null ? '' : `,"failure":${JSON.stringify(order.failure)}`
  return (
    `{"order_id":"${order.order_id}","amount":${order.amount},"tax":${order.tax},"total":${order.total},` +
    `${statusText(order.status)},"created_at":"${order.created_at}","updated_at":"${order.updated_at}","processed_at":${processedAt}${failure}}`
  )
}

/** The text of a status in a document. It occurs nowhere else in one: ids have no quotes, and JSON escapes those of texts. */
export function statusText(status: Order['status']): string {
  return `"status":"${status}"`
}

/** The beginning of an order's document; no other order's document begins like it. */
export function startOfDocument(id: string): string {
  return `{"order_id":"${id}",`
}

/** Whether a text looks like the document of an order. Checks its beginning and end only, so it is cheap. */
export function isDocumentOf(id: string, text: string): boolean {
  return text.startsWith(startOfDocument(id)) && text.endsWith('}')
}

/** Whether a document's status is `completed`, which never changes again. Searches the text: parsing each read costs more. */
export function hasCompletedStatus(document: string): boolean {
  return document.includes(statusText('completed'))
}

/** Whether a document's status is final. A failed order can still be completed by a redrive. Searches the text, as above. */
export function hasFinalStatus(document: string): boolean {
  return !document.includes(statusText('processing'))
}

/** The amount in a document, as decimal text in its shortest form. */
export function amountOf(document: string): string {
  return String((JSON.parse(document) as Order).amount)
}
