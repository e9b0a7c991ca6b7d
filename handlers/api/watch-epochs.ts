import type { App } from '../../src/app.ts'
import { createEpochWatch } from '../../src/orders/audit/epoch-watch.ts'

/** Each second: looks whether Redis has lost accepted orders, and notes in MySQL how many there had been. */
export default async function watchEpochs(app: App) {
  const { keys, orders, log } = app
  const { redis, orders: mysql } = app.stores
  const check = createEpochWatch({ redis, mysql, keys, counters: orders.counters, log })

  app.repeat({
    name: 'watch-epochs',
    every: 1000,
    run: async () => {
      await check()
      return false
    }
  })
}
