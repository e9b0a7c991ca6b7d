import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import { identityOf, parseIdentity } from './identity.ts'
import { isDocumentOf, type OrderRecord, renderState } from './order.ts'

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

/** The status of an order that has an event. */
export type FinalStatus = Exclude<OrderRecord['status'], 'processing'>

/** The parts of an event that readers of `events` need. */
export interface ReadEvent {
  /** The id of the event: the same for each repetition. */
  id: string
  /** The identity of the order. */
  identity: string
  status: FinalStatus
  /** The document of the order, as GET returns it. */
  document: string
}

const BEFORE_ID = '{"specversion":"1.0","id":"'
const BEFORE_DOCUMENT = '"datacontenttype":"application/json","data":'

/**
 * Reads the text of an event without parsing its document. All that is searched precedes the text of clients. Returns
 * undefined for a text that `orderEvent` has not made.
 */
export function readOrderEvent(data: string): ReadEvent | undefined {
  const end = data.indexOf('"', BEFORE_ID.length)
  const start = data.indexOf(BEFORE_DOCUMENT, end)
  if (!data.startsWith(BEFORE_ID) || end === -1 || start === -1) return undefined
  const id = data.slice(BEFORE_ID.length, end)
  const colon = id.lastIndexOf(':')
  const identity = id.slice(0, colon)
  const document = data.slice(start + BEFORE_DOCUMENT.length, -1)
  if (!isDocumentOf(parseIdentity(identity).order_id, document)) return undefined
  return { id, identity, status: id.slice(colon + 1) as FinalStatus, document }
}
