import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'

/** Keeps the event ids of large orders in Redis, sorted by time. */
export default async function flagLargeOrders(app: App, { from = 10_000 }: { from?: number }) {
  const key = `${app.config.KEY_PREFIX}:large-orders`

  app.consume({
    name: 'flag-large-orders',
    stream: 'events',
    schema: OrderEvent,
    filter: ({ type, data }) => type === 'order.completed' && data.amount >= from,
    handler: async (messages, { log }) => {
      const members = messages.flatMap(({ body }) => [Date.parse(body.time), body.id])
      await app.redis.zadd(key, ...members)
      log.info({ orders: messages.length }, 'large orders flagged')
    }
  })
}
