import { type OrderRecord, renderState } from './order.ts'

/**
 * Makes the event of a final order: CloudEvents 1.0 in JSON (https://github.com/cloudevents/spec) with the order's
 * `document` as data. The id of the event is always `<order id>:<status>`, so that consumers can drop repetitions.
 * `traceparent` is the header of the request, or ''.
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
    unless: renderState(order)
  }
}
