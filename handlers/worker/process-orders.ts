import { ORDER_PLACED_VERSION, OrderPlaced } from '../../schema/order-placed.ts'
import type { App } from '../../src/app.ts'
import { OrderConflict } from '../../src/orders/errors.ts'
import { complete } from '../../src/orders/pricing.ts'
import type { BatchResult } from '../../src/streams/function.ts'

/** Prices accepted orders, writes them to MySQL, and refreshes their documents as they are settled. */
export default async function processOrders(app: App) {
  const { store, documents } = app.orders

  app.consume({
    name: 'process-orders',
    stream: 'placed',
    schema: OrderPlaced,
    version: ORDER_PLACED_VERSION,
    batch: { size: 500, window: 5 },
    concurrency: 2,
    timeout: 30_000,
    handler: async (messages, { log }) => {
      const now = new Date()
      const outcomes = await store.write(messages.map(({ body }) => complete(body, now)))
      const result: Required<BatchResult> = { writes: [], failed: [] }
      for (const [index, message] of messages.entries()) {
        const { kind, order } = outcomes[index] as (typeof outcomes)[number]
        if (kind === 'conflict') {
          result.failed.push({ message, cause: new OrderConflict(order.order_id) })
          continue
        }
        result.writes.push({ message, ...documents.toWrite(order) })
        log.debug(
          { order_id: order.order_id, request_id: message.requestId, outcome: kind },
          'order processed'
        )
      }
      return result
    }
  })
}
