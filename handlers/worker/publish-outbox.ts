import type { App } from '../../src/app.ts'
import { createOutboxPublisher } from '../../src/orders/recover/publish-outbox.ts'

/** Publishes, twice a second, the documents and events of orders that were finished while Redis was unavailable. */
export default async function publishOutbox(app: App) {
  const { keys, log } = app
  const { orders: mysql, redis } = app.stores
  const { toPublication } = app.orders

  app.repeat({
    name: 'publish-outbox',
    every: 500,
    run: createOutboxPublisher({ mysql, redis, keys, toPublication, log })
  })
}
