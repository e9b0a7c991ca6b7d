import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'

export default async function logOrders(app: App) {
  app.consume({
    name: 'log-orders',
    stream: 'events',
    schema: OrderEvent,
    handler: async (messages, { log }) => {
      for (const { body } of messages) log.info({ order_id: body.subject }, body.type)
    }
  })
}
