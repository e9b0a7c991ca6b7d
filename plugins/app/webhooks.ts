import { Gauge } from '@prometheus-io/client'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { OrderEvent } from '../../schema/messages/order-event.ts'
import type { Message } from '../../src/streams/function.ts'
import { GLOBAL_GAUGE } from '../../src/telemetry/global-gauge.ts'
import { createAddressGuard } from '../../src/webhooks/address-guard.ts'
import { createDispatcher, type Dispatcher } from '../../src/webhooks/deliver/dispatcher.ts'
import { createQueue } from '../../src/webhooks/deliver/queue.ts'
import { createSender } from '../../src/webhooks/deliver/send.ts'
import { createDeliveryLog, type DeliveryLog } from '../../src/webhooks/delivery-log.ts'
import { countEndpoints } from '../../src/webhooks/endpoint-counts.ts'
import { createEndpointTable } from '../../src/webhooks/endpoint-table.ts'
import { createEndpoints, type Endpoints } from '../../src/webhooks/endpoints.ts'
import { createKeepEvents, isFunctionUsed } from '../../src/webhooks/function-use.ts'
import { createLogPurge } from '../../src/webhooks/purge-log.ts'
import { createEventRecorder } from '../../src/webhooks/record-events.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhooks: {
      /** What a tenant does with its endpoints. */
      endpoints: Endpoints
      /** The log of deliveries. */
      log: DeliveryLog
      /** Adds events to the queues of endpoints. */
      record: (messages: readonly Pick<Message<OrderEvent>, 'body'>[]) => Promise<void>
      dispatcher: Dispatcher
      /** Removes old deliveries. */
      purgeLog: () => Promise<boolean>
      /** Returns whether workers must deliver webhooks. */
      isUsed: () => Promise<boolean>
    }
  }
}

/** The most deliveries that wait for one endpoint. */
const CAP = 100_000

/** `app.webhooks`: the webhook endpoints of the tenants, and the deliveries to them. */
async function webhooks(app: FastifyInstance) {
  const { config, keys, log, metrics, lifecycle, streams, stores } = app
  // The requests of clients use the connections for orders, and the deliveries those for functions.
  const { orders, mysql } = stores
  const guard = createAddressGuard(config.WEBHOOK_ALLOW_PRIVATE)
  const deliveryLog = createDeliveryLog(orders, CAP)
  const sender = createSender({ guard })
  const dispatcher = createDispatcher({
    queue: createQueue(mysql, app.processName),
    sender,
    lease: config.LEASE_MS,
    patience: lifecycle.patience,
    log,
    count: metrics.webhookAttempt
  })
  app.decorate('webhooks', {
    endpoints: createEndpoints({
      table: createEndpointTable(orders),
      log: deliveryLog,
      guard,
      keepEvents: createKeepEvents(streams.starts, keys.partitions)
    }),
    log: deliveryLog,
    record: createEventRecorder({
      mysql,
      cap: CAP,
      onRecorded: dispatcher.wake,
      onDropped: metrics.webhooksDropped
    }),
    dispatcher,
    purgeLog: createLogPurge(mysql),
    isUsed: () => isFunctionUsed(mysql)
  })
  new Gauge({
    name: 'orderstream_webhook_endpoints',
    help: `Webhook endpoints of all tenants by state. ${GLOBAL_GAUGE}`,
    labelNames: ['state'],
    registers: [metrics.registry],
    async collect() {
      this.reset()
      // Without MySQL, the figure is missing.
      const counts = await countEndpoints(orders).catch(() => undefined)
      for (const [state, count] of Object.entries(counts ?? {})) this.set({ state }, count)
    }
  })
  lifecycle.onDrain(dispatcher.stop)
  app.addHook('onClose', async () => sender.close())
}

export default fp(webhooks, {
  name: 'webhooks',
  dependencies: ['stores', 'metrics', 'processes', 'streams', 'lifecycle']
})
