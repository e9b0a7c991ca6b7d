import type { TimelineEvent } from '../../../schema/http/order-timeline.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { OrderNotFound } from '../errors.ts'
import { fromDocument } from '../from-document.ts'
import { parseIdentity } from '../identity.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { StoredOrder } from '../tables/row.ts'
import { readTimeline, type TimelineEntry } from '../tables/timeline.ts'

/** Reads the timelines of orders, for one api process. */
export interface Timelines {
  /**
   * Reads what has happened to an order, the oldest event first.
   * @throws {OrderNotFound} when neither store has the order.
   * @throws {StoreUnavailable} when MySQL is unavailable, or when Redis is unavailable and the order has no row.
   */
  read: (identity: string) => Promise<TimelineEvent[]>
}

/** The dependencies of the timelines. */
export interface TimelinesOptions {
  mysql: MysqlStore
  store: Pick<OrderStore, 'find'>
  /** Reads the document of an order from Redis. Returns undefined when Redis has no document. */
  documentOf: (identity: string) => Promise<string | undefined>
}

/** Creates the timelines. An order without a row is known by its document, which does not have the request. */
export function createTimelines({ mysql, store, documentOf }: TimelinesOptions): Timelines {
  const fromRedis = async (identity: string): Promise<StoredOrder> => {
    const { order_id, tenant } = parseIdentity(identity)
    const document = await documentOf(identity)
    if (document === undefined) throw new OrderNotFound(order_id)
    return { ...fromDocument(document, tenant), messageId: null, requestId: null }
  }
  return {
    read: async identity => {
      // The order is read first, so that the entries explain its state: a transaction writes both together.
      const order = (await store.find([identity])).get(identity) ?? (await fromRedis(identity))
      return toEvents(order, await readTimeline(mysql, parseIdentity(identity)))
    }
  }
}

/**
 * Returns the events of an order, the oldest first. The order itself shows its acceptance and its completion; `entries`
 * are the other events, the oldest first. Clocks of machines differ, so the first event is always the acceptance, and a
 * completion is always the last one.
 */
export function toEvents(order: StoredOrder, entries: TimelineEntry[]): TimelineEvent[] {
  const requestId = order.requestId ?? entries.find(({ type }) => type === 'retried')?.requestId ?? null
  const events: TimelineEvent[] = [{ type: 'accepted', time: order.created_at, request_id: requestId }]
  for (const { type, time, requestId: request_id, attempt, failure } of entries)
    events.push({
      type,
      time,
      request_id,
      ...(attempt !== undefined && { attempt }),
      ...(failure && { failure })
    })
  if (order.status === 'completed' && order.processed_at !== null)
    events.push({ type: 'completed', time: order.processed_at, request_id: requestId })
  return events
}
