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
  /** Why it failed; null unless it did. */
  failure: Failure | null
}

/** The order that a new request asks for, before anything was done. */
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
 * The document of an order: the very text that GET answers and Redis keeps. It is written here and nowhere else.
 * Money goes in as the digits it is, so no binary float ever rounds it; ids and times have no character to escape.
 */
export function renderDocument(order: OrderRecord): string {
  const processedAt = order.processed_at === null ? 'null' : `"${order.processed_at}"`
  const failure = order.failure === null ? '' : `,"failure":${JSON.stringify(order.failure)}`
  return (
    `{"order_id":"${order.order_id}","amount":${order.amount},"tax":${order.tax},"total":${order.total},` +
    `${statusText(order.status)},"created_at":"${order.created_at}","updated_at":"${order.updated_at}","processed_at":${processedAt}${failure}}`
  )
}

/** How a status stands in a document. No id contains a quote, so the text can be nothing else. */
export function statusText(status: Order['status']): string {
  return `"status":"${status}"`
}

/** How the document of an order begins, which tells it from any other text. */
export function startOfDocument(id: string): string {
  return `{"order_id":"${id}",`
}

/** Whether a text is the document of an order, as far as shows without parsing it. */
export function isDocumentOf(id: string, text: string): boolean {
  return text.startsWith(startOfDocument(id)) && text.endsWith('}')
}

/** Whether a document is that of a completed order, which nothing changes any more. */
export function isCompleted(document: string): boolean {
  return document.includes(statusText('completed'))
}

/** Whether a document is final; that of a failed order may yet become that of a completed one. */
export function isFinal(document: string): boolean {
  return !document.includes(statusText('processing'))
}

/** The amount in a document, as decimal text in its shortest form. */
export function amountOf(document: string): string {
  return String((JSON.parse(document) as Order).amount)
}
