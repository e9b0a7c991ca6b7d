import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import { identityOf } from './identity.ts'
import { type OrderRecord, renderState } from './order.ts'

/**
 * Makes the event of a final order: CloudEvents 1.0 in JSON (https://github.com/cloudevents/spec) with the order's
 * `document` as data. The id of the event is always `<identity>:<status>`, so that consumers can drop repetitions. An
 * event of a tenant other than the default one has the extension attribute `tenant`.
 * `traceparent` is the header of the request, or ''.
 */
export function orderEvent(
  order: OrderRecord,
  document: string,
  traceparent: string
): { data: string; unless: string } {
  const type = `order.${order.status}`
  const tenant = order.tenant === DEFAULT_TENANT ? '' : `"tenant":"${order.tenant}",`
  const trace = traceparent === '' ? '' : `"traceparent":"${traceparent}",`
  return {
    data:
      `{"specversion":"1.0","id":"${identityOf(order)}:${order.status}","source":"/orders","type":"${type}",` +
      `"subject":"${order.order_id}","time":"${order.updated_at}",${tenant}${trace}"datacontenttype":"application/json","data":${document}}`,
    unless: renderState(order)
  }
}
