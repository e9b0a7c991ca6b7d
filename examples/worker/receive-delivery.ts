import { type Static, Type } from 'typebox'
import type { App } from '../../src/app.ts'
import { DuplicateKey } from '../../src/stores/errors.ts'

/** A delivery of goods: the body of POST /deliveries, and of a message on the queue `deliveries`. */
export const Delivery = Type.Object(
  {
    delivery_id: Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' }),
    item: Type.String({ pattern: '^[a-z-]{1,100}$' }),
    quantity: Type.Integer({ minimum: 1, maximum: 1_000_000 })
  },
  { additionalProperties: false }
)
export type Delivery = Static<typeof Delivery>

/** Adds announced deliveries to the stock. Its tables are in examples/migrations/001.do.stock.sql. */
export default async function receiveDelivery(app: App) {
  app.consume({
    name: 'receive-delivery',
    stream: 'deliveries',
    schema: Delivery,
    batch: { size: 1, window: 0 },
    handler: async messages => {
      for (const { body } of messages) await receive(body)
    }
  })

  async function receive({ delivery_id, item, quantity }: Delivery): Promise<void> {
    try {
      await app.stores.mysql.transaction(async ({ run }) => {
        const columns = '(delivery_id, item, quantity)'
        await run(`INSERT INTO stock_deliveries ${columns} VALUES (?, ?, ?)`, [delivery_id, item, quantity])
        const add = 'ON DUPLICATE KEY UPDATE available = available + ?'
        await run(`INSERT INTO stock (item, available) VALUES (?, ?) ${add}`, [item, quantity, quantity])
      })
    } catch (error) {
      // The delivery was announced twice, or its message was delivered before.
      if (!(error instanceof DuplicateKey)) throw error
    }
  }
}
