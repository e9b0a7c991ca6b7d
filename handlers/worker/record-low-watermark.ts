import type { App } from '../../src/app.ts'
import { createLowWatermarkRecorder } from '../../src/orders/audit/record-low-watermark.ts'

/** Every five seconds: records the low watermark in MySQL, and deletes what the audit no longer needs. */
export default async function recordLowWatermark(app: App) {
  const { keys } = app
  const { orders: mysql, redis } = app.stores

  app.repeat({
    name: 'record-low-watermark',
    every: 5000,
    run: createLowWatermarkRecorder({ redis, mysql, keys })
  })
}
