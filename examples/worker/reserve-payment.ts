import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { codeOf, TerminalError } from '../../src/streams/function.ts'

/**
 * Reserves the total of each completed order with a payment service, and lists the orders that cannot be paid. Its table
 * is in examples/migrations/002.do.unpaid-orders.sql.
 */
export default async function reservePayment(
  app: App,
  { url = 'http://127.0.0.1:8081/reservations', attempts = 20 }: { url?: string; attempts?: number }
) {
  const { mysql } = app.stores

  app.consume({
    name: 'reserve-payment',
    stream: 'events',
    schema: OrderEvent,
    filter: event => event.type === 'order.completed',
    batch: { size: 1, window: 0 },
    concurrency: 4,
    retry: { attempts, base: 200, max: 30_000 },
    handler: async (messages, { signal }) => {
      for (const { body, redriven } of messages) {
        const { order_id, total } = body.data
        const answer = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': `reserve:${body.id}` },
          body: JSON.stringify({ order_id, total }),
          signal
        })
        await answer.body?.cancel()
        if (answer.status === 402) throw new TerminalError('payment-refused', 'The payment was refused.')
        if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
        if (redriven)
          await mysql.transaction(({ run }) => run('DELETE FROM unpaid_orders WHERE event_id = ?', [body.id]))
      }
    },
    // This can run more than once for a message, so it replaces the row.
    onDead: async dead => {
      for (const { message, cause } of dead) {
        const { id, data } = message.body
        await mysql.transaction(({ run }) =>
          run('REPLACE INTO unpaid_orders VALUES (?, ?, ?)', [id, data.order_id, codeOf(cause)])
        )
      }
      return {}
    }
  })
}
