import { ORDER_PLACED_VERSIONS, OrderPlaced } from '../../schema/messages/order-placed.ts'
import type { App } from '../../src/app.ts'
import { ORDER_RETRY } from '../../src/orders/failure.ts'
import { ORDER_FUNCTION, PLACED } from '../../src/orders/names.ts'
import { countEnd } from '../../src/orders/process/count-end.ts'

/** Prices accepted orders, writes them to MySQL, refreshes their documents and publishes their events. */
export default async function processOrders(app: App) {
  const { processor } = app.orders

  app.consume({
    name: ORDER_FUNCTION,
    stream: PLACED,
    schema: OrderPlaced,
    version: Object.values(ORDER_PLACED_VERSIONS),
    batch: { size: 250, window: 15 },
    concurrency: 4,
    retry: ORDER_RETRY,
    timeout: 60_000,
    handler: processor.process,
    onDead: processor.fail,
    onRetry: processor.retry,
    counters: countEnd
  })
}
