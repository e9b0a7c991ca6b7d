import type { OrderRecord } from '../../src/orders/order.ts'
import { writeOrders } from '../../src/orders/process/write-orders.ts'
import type { TestApp } from '../harness/app.ts'

/** Writes the row of a final order, as a worker does when it processes the message with this id. */
export async function writeRow(
  { app }: Pick<TestApp, 'app'>,
  order: OrderRecord,
  { messageId = '1-0', redriven = false } = {}
): Promise<void> {
  await writeOrders(app.stores.orders, [
    { order, messageId, requestId: 'request-1', redriven, ordinal: '', partition: 0 }
  ])
}
