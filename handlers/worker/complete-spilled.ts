import type { App } from '../../src/app.ts'
import { createSpillCompleter } from '../../src/orders/recover/complete-spilled.ts'

/** Completes the spilled orders twice a second. It does not need Redis. */
export default async function completeSpilled(app: App) {
  app.repeat({
    name: 'complete-spilled',
    every: 500,
    run: createSpillCompleter({ mysql: app.stores.orders, log: app.log })
  })
}
