import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { TerminalError } from '../../src/streams/function.ts'

/** Answers that would be the same another time: the request is wrong. Any other may pass. */
const REFUSED = new Set([400, 413, 415, 422])

/**
 * Sends a receipt for every completed order to a web hook. Copy it to `handlers/worker/` and make it yours: it is
 * retried with growing pauses while the other side fails, and what the other side refuses is a dead letter at once.
 */
export default async function sendReceipt(
  app: App,
  { url = 'http://127.0.0.1:8080/receipts' }: { url?: string }
) {
  app.consume({
    name: 'send-receipt',
    stream: 'events',
    schema: OrderEvent,
    filter: event => event.type === 'order.completed',
    batch: { size: 1, window: 0 },
    concurrency: 4,
    retry: { attempts: 10, base: 500, max: 60_000 },
    timeout: 10_000,
    handler: async ([message], { signal }) => {
      if (!message) return
      const answer = await fetch(url, {
        method: 'POST',
        // The same however often this event is told, so that the other side can drop a repetition.
        headers: { 'content-type': 'application/json', 'idempotency-key': `receipt:${message.body.id}` },
        body: JSON.stringify(message.body.data),
        // Followed, a POST would become a GET, and what answers that has not had the receipt.
        redirect: 'manual',
        signal
      })
      await answer.body?.cancel()
      if (answer.ok) return
      const cause = `${url} answered ${answer.status}`
      throw REFUSED.has(answer.status) ? new TerminalError('refused', cause) : new Error(cause)
    }
  })
}
