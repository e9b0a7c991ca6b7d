import type { App } from '../../src/app.ts'
import { createEpochWatch } from '../../src/orders/audit/epoch-watch.ts'

/** Checks every second whether Redis has lost accepted orders, and records in MySQL how many were accepted. */
export default async function watchEpochs(app: App) {
  const { keys, orders, log } = app
  const { orders: mysql, redis } = app.stores
  const check = createEpochWatch({ redis, mysql, keys, watermarks: orders.watermarks, log })

  app.repeat({
    name: 'watch-epochs',
    every: 1000,
    run: async () => {
      await check()
      return false
    }
  })
}
