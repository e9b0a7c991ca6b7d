import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import type { OrderEvent } from '../../schema/messages/order-event.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import type { Message } from '../streams/function.ts'
import { insertDeliveries, type NewDelivery, renderPayload } from './new-deliveries.ts'
import { dropOldest } from './queue-cap.ts'

/** The dependencies of the recorder of events. */
export interface EventRecorderOptions {
  mysql: MysqlStore
  /** The most deliveries that wait for one endpoint. */
  cap: number
  /** Called after deliveries were added. */
  onRecorded: () => void
  /** Called with the number of deliveries that were dropped. */
  onDropped: (count: number) => void
}

interface EndpointRow {
  id: string
  tenant: string
  events: string | null
}

/**
 * Creates the handler of the stream function: it adds each event to the queues of the endpoints of its tenant. Events
 * that come again change nothing. The endpoints are read for each batch, so an endpoint receives every event after its
 * creation.
 */
export function createEventRecorder(
  options: EventRecorderOptions
): (messages: readonly Pick<Message<OrderEvent>, 'body'>[]) => Promise<void> {
  const { mysql, cap, onRecorded, onDropped } = options
  // A count of the waiting deliveries reads all of them, so it follows only after every tenth of the cap.
  const uncounted = new Map<string, number>()
  const isTimeToCount = (endpoint: string, added: number) => {
    const total = (uncounted.get(endpoint) ?? Number.POSITIVE_INFINITY) + added
    const isTime = total > cap / 10
    uncounted.set(endpoint, isTime ? 0 : total)
    return isTime
  }
  return async messages => {
    const byTenant = Map.groupBy(messages, ({ body }) => body.tenant ?? DEFAULT_TENANT)
    const endpoints = await mysql.rows<EndpointRow>(
      "SELECT id, tenant, events FROM webhook_endpoints WHERE tenant IN (?) AND state = 'enabled'",
      [[...byTenant.keys()]]
    )
    // Rendered once for all endpoints.
    const rendered = new Map(messages.map(message => [message, toDelivery(message.body)]))
    const deliveries = endpoints.flatMap(endpoint => {
      const types = endpoint.events?.split(' ')
      const own = byTenant.get(endpoint.tenant) ?? []
      return own
        .filter(({ body }) => types?.includes(body.type) ?? true)
        .map(message => ({ endpoint_id: endpoint.id, ...(rendered.get(message) as Rendered) }))
    })
    if (deliveries.length === 0) return
    await insertDeliveries(mysql, deliveries)
    onRecorded()
    for (const [endpoint, { length }] of Map.groupBy(deliveries, each => each.endpoint_id)) {
      const dropped = isTimeToCount(endpoint, length) ? await dropOldest(mysql, endpoint, cap) : 0
      if (dropped > 0) onDropped(dropped)
    }
  }
}

type Rendered = Omit<NewDelivery, 'endpoint_id'>

function toDelivery({ id, type, time, data }: OrderEvent): Rendered {
  return {
    message_id: id,
    type,
    occurred_at: time,
    payload: renderPayload(type, time, JSON.stringify(data))
  }
}
