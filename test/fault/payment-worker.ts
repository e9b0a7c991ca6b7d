import closeWithGrace from 'close-with-grace'
import { resolveConfig } from '../../schema/config/resolve.ts'
import { OrderEvent } from '../../schema/messages/order-event.ts'
import { buildApp } from '../../src/app.ts'
import { DuplicateKey } from '../../src/stores/errors.ts'

/**
 * A worker process like that of `src/main.ts`. Its function pays within the transaction that records the payment.
 * The guide advises against such a function, but even then no payment may be lost or repeated.
 */
const config = resolveConfig(process.env)
const url = process.env.PAYMENT_URL as string
const app = await buildApp(config)

app.consume({
  name: 'pay',
  stream: 'events',
  start: 'all',
  schema: OrderEvent,
  filter: event => event.type === 'order.completed',
  batch: { size: 1, window: 0 },
  concurrency: 8,
  retry: { attempts: 20, base: 100, max: 5000 },
  handler: async ([message], { signal }) => {
    if (!message) return
    const { order_id, total } = message.body.data
    await app.stores.mysql.transaction(async ({ run }) => {
      try {
        await run('INSERT INTO reservations (order_id, amount) VALUES (?, ?)', [order_id, total])
      } catch (error) {
        if (error instanceof DuplicateKey) return
        throw error
      }
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': message.body.id },
        body: JSON.stringify({ order_id, total }),
        signal
      })
      await answer.body?.cancel()
      if (!answer.ok) throw new Error(`the payment service answered ${answer.status}`)
    })
  }
})

closeWithGrace({ delay: config.SHUTDOWN_GRACE_MS, logger: app.log }, () => app.close())
await app.listen({ host: config.HOST, port: config.PORT })
