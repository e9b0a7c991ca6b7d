import type { App } from '../../src/app.ts'
import { publishOutbox } from '../../src/orders/recover/publish-outbox.ts'

/** Twice a second: publishes the documents and events of orders that were finished without Redis. */
export default async function publishOrderOutbox(app: App) {
  const { keys } = app
  const { orders: mysql, redis } = app.stores
  const { toPublication } = app.orders

  app.repeat({
    name: 'publish-outbox',
    every: 500,
    run: async () => {
      if (!redis.availability.up) return false
      const { published, more } = await publishOutbox({ mysql, redis, keys, toPublication })
      if (published > 0) app.log.info({ task: 'publish-outbox', orders: published }, 'outbox published')
      return more
    }
  })
}
