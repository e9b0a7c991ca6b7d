import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { DuplicateKey } from '../../src/stores/errors.ts'
import { TerminalError } from '../../src/streams/function.ts'

/** Takes one item out of stock for each completed order. Its tables are in examples/migrations/001.do.stock.sql. */
export default async function reserveStock(app: App, { item = 'parcel-box' }: { item?: string }) {
  app.consume({
    name: 'reserve-stock',
    stream: 'events',
    schema: OrderEvent,
    filter: event => event.type === 'order.completed',
    batch: { size: 1, window: 0 },
    concurrency: 4,
    handler: async messages => {
      for (const { body } of messages) {
        await app.stores.mysql.transaction(async ({ run }) => {
          try {
            const row = [body.id, item]
            await run('INSERT INTO stock_reservations (event_id, item) VALUES (?, ?)', row)
          } catch (error) {
            // The event was delivered before, and the order has its item.
            if (error instanceof DuplicateKey) return
            throw error
          }
          const take = 'UPDATE stock SET available = available - 1 WHERE item = ? AND available > 0'
          const { affectedRows } = await run(take, [item])
          // The error rolls back the transaction, so the reservation is removed too.
          if (affectedRows === 0) throw new TerminalError('out-of-stock', `${item} is out of stock`)
        })
      }
    }
  })
}
