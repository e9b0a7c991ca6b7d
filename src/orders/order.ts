import type { Order } from '../../schema/order.ts'

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
}

/**
 * The document of an order: the very text that GET answers and Redis keeps. It is written here and nowhere else.
 * Money goes in as the digits it is, so no binary float ever rounds it; ids and times have no character to escape.
 */
export function renderDocument(order: OrderRecord): string {
  const processedAt = order.processed_at === null ? 'null' : `"${order.processed_at}"`
  return (
    `{"order_id":"${order.order_id}","amount":${order.amount},"tax":${order.tax},"total":${order.total},` +
    `"status":"${order.status}","created_at":"${order.created_at}","updated_at":"${order.updated_at}","processed_at":${processedAt}}`
  )
}

/** Whether a document is final. No id contains a quote, so the text can only be the status itself. */
export function isFinal(document: string): boolean {
  return !document.includes('"status":"processing"')
}

/** The amount in a document, as decimal text in its shortest form. */
export function amountOf(document: string): string {
  return String((JSON.parse(document) as Order).amount)
}
