import { type OrderRecord, statusText } from './order.ts'

/**
 * What tells the world that an order is final: CloudEvents 1.0 in JSON (https://github.com/cloudevents/spec), with the
 * order's `document` as data. The id is made of the order and what became of it, so it is the same however often the
 * event is told, and a consumer can drop a repetition.
 */
export function orderEvent(
  order: OrderRecord,
  document: string,
  traceparent: string
): { data: string; unless: string } {
  const type = `order.${order.status}`
  const trace = traceparent === '' ? '' : `"traceparent":"${traceparent}",`
  return {
    data:
      `{"specversion":"1.0","id":"${order.order_id}:${order.status}","source":"/orders","type":"${type}",` +
      `"subject":"${order.order_id}","time":"${order.updated_at}",${trace}"datacontenttype":"application/json","data":${document}}`,
    unless: statusText(order.status)
  }
}
