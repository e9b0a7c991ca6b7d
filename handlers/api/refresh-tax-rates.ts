import type { App } from '../../src/app.ts'
import { withDeadline } from '../../src/async/deadline.ts'

/** Longest time that a start waits for the first rates (ms). */
const FIRST_WAIT = 2000

/** Every two seconds: reads the tax rates of the regions, so that no order waits for them. */
export default async function refreshTaxRates(app: App) {
  const { taxRates } = app.orders

  app.repeat({
    name: 'tax-rates',
    every: 2000,
    run: async () => {
      await taxRates.refresh()
      return false
    }
  })
  app.addHook('onReady', async () => {
    await withDeadline(
      taxRates.refresh().catch(() => {}),
      { after: FIRST_WAIT, late: () => {} }
    )
  })
}
