import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createIntake, type Intake } from '../../src/orders/accept/intake.ts'
import { createSeenCounters, type SeenCounters } from '../../src/orders/audit/seen-counters.ts'
import { orderEvent } from '../../src/orders/events.ts'
import type { OrderRecord } from '../../src/orders/order.ts'
import { createDocuments, type Documents } from '../../src/orders/read/documents.ts'
import { createOrderReader, type OrderReader } from '../../src/orders/read/reader.ts'
import { createRecentDocuments } from '../../src/orders/read/recent-documents.ts'
import { createOrderStore, type OrderStore } from '../../src/orders/tables/order-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    orders: {
      intake: Intake
      reader: OrderReader
      store: OrderStore
      documents: Documents
      /** What was seen of the counters of accepted orders. */
      counters: SeenCounters
      /** What is written and told of a final order in the step that settles its message. */
      toSettle: (
        order: OrderRecord,
        traceparent: string
      ) => { write: ReturnType<Documents['toWrite']>; event: ReturnType<typeof orderEvent> }
    }
  }
}

/** The order domain, put together on the two stores. */
async function orders(app: FastifyInstance) {
  const { config, keys, metrics } = app
  const { redis, orders: mysql } = app.stores
  const store = createOrderStore(mysql)
  const ttl = config.CACHE_TTL_SECONDS * 1000
  const documents = createDocuments(redis, keys, ttl, () => metrics.corrupt('document'))
  const reader = createOrderReader({ documents, recent: createRecentDocuments(ttl), store })
  const counters = createSeenCounters(keys.partitions)
  const intake = createIntake({
    redis,
    mysql,
    store,
    keys,
    counters,
    taxRate: config.TAX_RATE,
    timeout: config.STORE_TIMEOUT_MS,
    maxBacklog: config.MAX_BACKLOG,
    log: app.log
  })
  app.decorate('orders', {
    intake,
    reader,
    store,
    documents,
    counters,
    toSettle: (order, traceparent) => {
      const write = documents.toWrite(order)
      return { write, event: orderEvent(order, write.value, traceparent) }
    }
  })
}

export default fp(orders, { name: 'orders', dependencies: ['stores', 'metrics'] })
