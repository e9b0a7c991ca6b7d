import type { App } from '../../src/app.ts'
import { createLowWatermarkRecorder } from '../../src/orders/audit/record-low-watermark.ts'

/** Records the low watermark in MySQL every five seconds, and deletes the records that the audit no longer needs. */
export default async function recordLowWatermark(app: App) {
  const { keys } = app
  const { orders: mysql, redis } = app.stores

  app.repeat({
    name: 'record-low-watermark',
    every: 5000,
    run: createLowWatermarkRecorder({ redis, mysql, keys })
  })
}
