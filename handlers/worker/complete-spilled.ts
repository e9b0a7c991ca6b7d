import type { App } from '../../src/app.ts'
import { completeSpilled } from '../../src/orders/recover/complete-spilled.ts'

/** Twice a second: completes orders that were accepted in MySQL while Redis was unavailable, even while it still is. */
export default async function completeSpilledOrders(app: App) {
  app.repeat({
    name: 'complete-spilled',
    every: 500,
    run: async () => {
      const { completed, more, retrying, failed } = await completeSpilled(app.stores.orders)
      for (const [order_id, err] of retrying)
        app.log.warn({ err, task: 'complete-spilled', order_id }, 'spilled order is tried again')
      for (const [order_id, err] of failed)
        app.log.error({ err, task: 'complete-spilled', order_id }, 'spilled order failed')
      if (completed > 0)
        app.log.info({ task: 'complete-spilled', orders: completed }, 'spilled orders completed')
      return more
    }
  })
}
