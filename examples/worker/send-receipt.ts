import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { TerminalError } from '../../src/streams/function.ts'

/** Statuses that mean: the web hook will never accept this receipt. After any other status, a retry may succeed. */
const REFUSED = new Set([400, 413, 415, 422])

/** Sends a receipt for each completed order to a web hook. */
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
    handler: async (messages, { signal }) => {
      for (const { body } of messages) {
        const answer = await fetch(url, {
          method: 'POST',
          // The key is the same in each attempt, so the web hook can drop a repetition.
          headers: { 'content-type': 'application/json', 'idempotency-key': `receipt:${body.id}` },
          body: JSON.stringify(body.data),
          // fetch follows a redirect of a POST with a GET, which delivers no receipt.
          redirect: 'manual',
          signal
        })
        await answer.body?.cancel()
        const cause = `${url} answered ${answer.status}`
        if (REFUSED.has(answer.status)) throw new TerminalError('refused', cause)
        if (!answer.ok) throw new Error(cause)
      }
    }
  })
}
