import type { App } from '../../src/app.ts'
import { createSpillCompleter } from '../../src/orders/recover/complete-spilled.ts'

/** Twice a second: completes the spilled orders, with or without Redis. */
export default async function completeSpilled(app: App) {
  app.repeat({
    name: 'complete-spilled',
    every: 500,
    run: createSpillCompleter({ mysql: app.stores.orders, log: app.log })
  })
}
