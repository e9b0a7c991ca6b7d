import type { App } from '../../src/app.ts'
import { withDeadline } from '../../src/async/deadline.ts'

/** The longest time that the start of the api waits for the first rates (ms). */
const FIRST_WAIT = 2000

/** Reads the tax rates of the regions every two seconds, so that no order waits for them. */
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
