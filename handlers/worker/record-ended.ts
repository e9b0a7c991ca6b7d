import type { App } from '../../src/app.ts'
import { createEndedNotes } from '../../src/orders/audit/record-ended.ts'

/** Every five seconds: notes up to which number all accepted orders have ended, and deletes what that makes needless. */
export default async function noteEndedOrders(app: App) {
  const { keys } = app
  const { redis, orders: mysql } = app.stores
  const note = createEndedNotes({ redis, mysql, keys })
  app.repeat({ name: 'note-ended', every: 5000, run: note })
}
