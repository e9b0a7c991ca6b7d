import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { DuplicateKey } from '../../src/stores/errors.ts'
import { TerminalError } from '../../src/streams/function.ts'

/**
 * Reserves the total of every completed order with a payment service, and notes it in a table of its own. Copy it to
 * `handlers/worker/`, and its table from `examples/migrations/` to `migrations/functions/`.
 */
export default async function reservePayment(
  app: App,
  { url = 'http://127.0.0.1:8081/reservations' }: { url?: string }
) {
  app.consume({
    name: 'reserve-payment',
    stream: 'events',
    schema: OrderEvent,
    filter: event => event.type === 'order.completed',
    batch: { size: 1, window: 0 },
    concurrency: 4,
    retry: { attempts: 20, base: 200, max: 30_000 },
    handler: async ([message], { signal }) => {
      if (!message) return
      const { order_id, total } = message.body.data
      const known = await app.stores.mysql.rows('SELECT 1 FROM reservations WHERE order_id = ?', [order_id])
      if (known.length > 0) return

      // Outside the transaction, so that no connection waits for it. The key makes a repeated call harmless.
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `reserve:${message.body.id}` },
        body: JSON.stringify({ order_id, total }),
        signal
      })
      await answer.body?.cancel()
      if (answer.status === 402) throw new TerminalError('payment-refused', 'The payment was refused.')
      if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)

      try {
        await app.stores.mysql.transaction(({ run }) =>
          run('INSERT INTO reservations (order_id, amount) VALUES (?, ?)', [order_id, total])
        )
      } catch (error) {
        // Another delivery of the same event was faster. Any other error is for Orderstream, which knows an outage.
        if (!(error instanceof DuplicateKey)) throw error
      }
    }
  })
}
