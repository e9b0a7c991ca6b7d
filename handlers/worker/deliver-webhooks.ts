import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { App } from '../../src/app.ts'
import { WEBHOOK_FUNCTION } from '../../src/webhooks/function-use.ts'

/** How often a worker looks for due deliveries, and for the first endpoint (ms). */
const LOOK_EVERY = 1000

/** How often a worker removes old deliveries from the log (ms). */
const PURGE_EVERY = 60_000

/**
 * Adds events to the queues of webhook endpoints, and sends what is due. It begins when there is a first endpoint. Until
 * then, a worker only asks MySQL once a second whether there is one.
 */
export default async function deliverWebhooks(app: App) {
  const { webhooks } = app
  let used = false

  const begin = app.consumeLater({
    name: WEBHOOK_FUNCTION,
    stream: 'events',
    schema: OrderEvent,
    batch: { size: 500, window: 15 },
    handler: messages => webhooks.record(messages)
  })

  app.repeat({
    name: WEBHOOK_FUNCTION,
    every: LOOK_EVERY,
    run: async () => {
      if (!used) {
        if (!(await webhooks.isUsed())) return false
        used = true
        begin()
      }
      return webhooks.dispatcher.poll()
    }
  })

  app.repeat({
    name: 'purge-webhook-log',
    every: PURGE_EVERY,
    run: async () => used && webhooks.purgeLog()
  })
}
