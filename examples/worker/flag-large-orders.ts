import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'

/** Lists the large orders in Redis: the sorted set `<KEY_PREFIX>:large-orders`, by time. */
export default async function flagLargeOrders(app: App, { from = 10_000 }: { from?: number }) {
  const key = `${app.config.KEY_PREFIX}:large-orders`

  app.consume({
    name: 'flag-large-orders',
    stream: 'events',
    start: 'all',
    schema: OrderEvent,
    // The handler never sees the other events.
    filter: ({ type, data }) => type === 'order.completed' && data.amount >= from,
    handler: async (messages, { log }) => {
      const members = messages.flatMap(({ body }) => [Date.parse(body.time), body.data.order_id])
      // A message that arrives again adds nothing: the set has each order once.
      await app.stores.redis.run(client => client.zadd(key, ...members))
      log.info({ orders: messages.length }, 'large orders flagged')
    }
  })
}
