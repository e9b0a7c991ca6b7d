import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createDocuments, type Documents } from '../src/orders/documents.ts'
import { createIntake, type Intake } from '../src/orders/intake.ts'
import { createOrderStore, type OrderStore } from '../src/orders/order-store.ts'
import { createOrderReader, type OrderReader } from '../src/orders/reader.ts'

declare module 'fastify' {
  interface FastifyInstance {
    orders: { intake: Intake; reader: OrderReader; store: OrderStore; documents: Documents }
  }
}

/** The order domain, put together on the two stores. */
async function orders(app: FastifyInstance) {
  const { config, keys, redis } = app
  const store = createOrderStore(app.mysql)
  const documents = createDocuments(redis, keys, config.CACHE_TTL_SECONDS)
  const reader = createOrderReader(documents, store)
  const intake = createIntake({
    redis,
    store,
    reader,
    keys,
    taxRate: config.TAX_RATE,
    timeout: config.STORE_TIMEOUT_MS
  })
  app.decorate('orders', { intake, reader, store, documents })
}

export default fp(orders, { name: 'orders', dependencies: ['redis', 'mysql'] })
