import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createIntake, type Intake } from '../../src/orders/accept/intake.ts'
import { LONGEST_ACCEPT } from '../../src/orders/accept/longest-accept.ts'
import { createWatermarks, type Watermarks } from '../../src/orders/audit/watermarks.ts'
import { type Canceller, createCanceller } from '../../src/orders/cancel/cancel-order.ts'
import { createAsOf } from '../../src/orders/list/as-of.ts'
import { createOrderLists, type OrderLists } from '../../src/orders/list/list-orders.ts'
import { createOrderProcessor, type OrderProcessor } from '../../src/orders/process/process-orders.ts'
import { createToPublication, type ToPublication } from '../../src/orders/publication.ts'
import { createDocuments, type Documents } from '../../src/orders/read/documents.ts'
import { createOrderReader, type OrderReader } from '../../src/orders/read/reader.ts'
import { createRecentDocuments } from '../../src/orders/read/recent-documents.ts'
import { createOrderStore, type OrderStore } from '../../src/orders/tables/order-store.ts'
import { createTaxRates, type TaxRates } from '../../src/orders/tax/tax-rates.ts'
import { createTimelines, type Timelines } from '../../src/orders/timeline/timelines.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The order domain. */
    orders: {
      /** Accepts orders. */
      intake: Intake
      /** Reads orders from the nearest place that has them. */
      reader: OrderReader
      /** Cancels orders. */
      canceller: Canceller
      /** Lists orders. */
      lists: OrderLists
      /** Reads the timelines of orders. */
      timelines: Timelines
      /** Processes the messages on `placed`. */
      processor: OrderProcessor
      /** Reads orders from MySQL. */
      store: OrderStore
      /** The documents in Redis. */
      documents: Documents
      /** The watermarks of the counters of accepted orders. */
      watermarks: Watermarks
      /** The tax rates of the regions. */
      taxRates: TaxRates
      /** Makes the document and the event of a finished order. */
      toPublication: ToPublication
    }
  }
}

/** The first RELEASE that supports cancelled orders. */
const KNOWS_CANCELLED = 2

/** The first RELEASE that supports orders of several tenants. */
const KNOWS_TENANTS = 3

/** `app.orders`: the order domain on the two stores. */
async function orders(app: FastifyInstance) {
  const { config, keys, metrics } = app
  const { orders: mysql, redis } = app.stores
  const ttl = config.CACHE_TTL_SECONDS * 1000
  const store = createOrderStore(mysql)
  const documents = createDocuments(redis, keys, ttl, () => metrics.corrupt('document'))
  const watermarks = createWatermarks(keys.partitions)
  const toPublication = createToPublication(keys, ttl)
  const taxRates = createTaxRates({ redis, mysql, keys, log: app.log })
  app.decorate('orders', {
    intake: createIntake({
      redis,
      mysql,
      store,
      keys,
      watermarks,
      taxRate: config.TAX_RATE,
      taxRates,
      knowsTenants: () => app.processes.haveRelease(KNOWS_TENANTS),
      defaultCurrency: config.DEFAULT_CURRENCY,
      timeout: config.STORE_TIMEOUT_MS,
      minReplicas: config.REDIS_MIN_REPLICAS,
      maxBacklog: config.MAX_BACKLOG,
      maxBacklogBytes: config.MAX_BACKLOG_BYTES,
      count: metrics.order,
      log: app.log
    }),
    reader: createOrderReader({ documents, recent: createRecentDocuments(ttl), store }),
    canceller: createCanceller({
      mysql,
      documentOf: documents.get,
      isKnown: () => (app.processes.oldestRelease() ?? 0) >= KNOWS_CANCELLED
    }),
    lists: createOrderLists(mysql, createAsOf(redis, keys, LONGEST_ACCEPT * config.STORE_TIMEOUT_MS)),
    timelines: createTimelines({ mysql, store, documentOf: documents.get }),
    processor: createOrderProcessor({ mysql, store, keys, toPublication }),
    store,
    documents,
    watermarks,
    taxRates,
    toPublication
  })
}

export default fp(orders, { name: 'orders', dependencies: ['stores', 'metrics', 'processes'] })
