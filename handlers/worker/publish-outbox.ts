import type { App } from '../../src/app.ts'
import { relayOutbox } from '../../src/orders/recover/publish-outbox.ts'

/** Twice a second: brings the documents and events of orders that were finished without Redis to it. */
export default async function relayOutboxToRedis(app: App) {
  const { keys, orders } = app
  const { orders: mysql, redis } = app.stores

  app.repeat({
    name: 'relay-outbox',
    every: 500,
    run: async () => {
      if (!redis.availability.up) return false
      const { told, more } = await relayOutbox(mysql, redis, keys, orders.documents)
      if (told > 0) app.log.info({ task: 'relay-outbox', orders: told }, 'finished orders told to Redis')
      return more
    }
  })
}
