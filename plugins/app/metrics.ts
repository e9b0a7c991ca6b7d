import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { routeOf } from '../../src/http/request-context.ts'
import type { BatchTally } from '../../src/streams/batch/run-batch.ts'
import type { AttemptOutcome } from '../../src/webhooks/deliver/endpoint-run.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: {
      registry: Registry
      /** Counts an order by its outcome. */
      order: (outcome: 'accepted' | 'replayed' | 'conflict') => void
      /** Counts one batch of a stream function. */
      batch: (name: string, counts: BatchTally, seconds: number) => void
      /** Counts a message with a version that a stream function does not support. */
      unknownVersion: (name: string, version: string) => void
      /** Counts an attempt to deliver a webhook by its outcome. */
      webhookAttempt: (outcome: AttemptOutcome) => void
      /** Counts webhook deliveries that were dropped. */
      webhooksDropped: (count: number) => void
      /** Counts entries in Redis that cannot be read. */
      corrupt: (kind: Corrupt, count?: number) => void
    }
  }
}

/**
 * The entries in Redis that can be corrupt: a message that waits for a retry, a dead letter, and the document of an
 * order.
 */
type Corrupt = 'retry' | 'dead_letter' | 'document'

/** The buckets of the histograms, in seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The metrics of a process. Names and labels are public. */
const METRICS = {
  requests: {
    name: 'http_request_duration_seconds',
    help: 'Time from a request to the end of its response.',
    labelNames: ['method', 'route', 'status']
  },
  orders: {
    name: 'orderstream_orders_total',
    help: 'Orders that were sent, by what became of them.',
    labelNames: ['outcome']
  },
  messages: {
    name: 'orderstream_messages_total',
    help: 'Messages that a function received, by what became of them.',
    labelNames: ['function', 'outcome']
  },
  corrupt: {
    name: 'orderstream_corrupt_entries_total',
    help: 'Unreadable entries in Redis, each time that the service met one.',
    labelNames: ['kind']
  },
  unknownVersion: {
    name: 'orderstream_foreign_messages_total',
    help: 'Messages of a version that a function does not know, left to other workers.',
    labelNames: ['function', 'version']
  },
  webhookAttempts: {
    name: 'orderstream_webhook_attempts_total',
    help: 'Attempts to deliver webhooks, by what became of the delivery.',
    labelNames: ['outcome']
  },
  webhooksDropped: {
    name: 'orderstream_webhook_dropped_total',
    help: 'Webhook deliveries that were dropped because too many waited for their endpoint.'
  },
  batches: {
    name: 'orderstream_batch_duration_seconds',
    help: 'Time from reading a batch to its settlement.',
    labelNames: ['function']
  },
  stores: {
    name: 'orderstream_store_up',
    help: 'Whether the service can use a store (1) or not (0).',
    labelNames: ['store']
  },
  partitions: {
    name: 'orderstream_partition_up',
    help: 'Whether the service can use the Redis master of a partition (1) or not (0).',
    labelNames: ['partition']
  }
} as const

/** `app.metrics`: the Prometheus metrics of this process, in a registry of their own. */
async function metrics(app: FastifyInstance) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopUtilizationTimeout: 1000 })
  const requests = new Histogram({ ...METRICS.requests, buckets: SECONDS, registers })
  const orders = new Counter({ ...METRICS.orders, registers })
  const messages = new Counter({ ...METRICS.messages, registers })
  const corrupt = new Counter({ ...METRICS.corrupt, registers })
  const unknownVersions = new Counter({ ...METRICS.unknownVersion, registers })
  const webhookAttempts = new Counter({ ...METRICS.webhookAttempts, registers })
  const webhooksDropped = new Counter({ ...METRICS.webhooksDropped, registers })
  const batches = new Histogram({ ...METRICS.batches, buckets: SECONDS, registers })
  new Gauge({
    ...METRICS.stores,
    registers,
    collect() {
      this.set({ store: 'redis' }, app.stores.redis.up() ? 1 : 0)
      this.set({ store: 'mysql' }, app.stores.mysql.availability.up ? 1 : 0)
    }
  })

  new Gauge({
    ...METRICS.partitions,
    registers,
    collect() {
      const unavailable = new Set(app.stores.redis.unavailable())
      for (let partition = 0; partition < app.keys.partitions; partition++)
        this.set({ partition }, unavailable.has(partition) ? 0 : 1)
    }
  })

  app.addHook('onResponse', (request, reply, done) => {
    const route = routeOf(request).url ?? 'unknown'
    requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
    done()
  })
  app.decorate('metrics', {
    registry,
    order: outcome => orders.inc({ outcome }),
    webhookAttempt: outcome => webhookAttempts.inc({ outcome }),
    webhooksDropped: count => webhooksDropped.inc(count),
    corrupt: (kind, count = 1) => corrupt.inc({ kind }, count),
    unknownVersion: (name, version) => unknownVersions.inc({ function: name, version }),
    batch: (name, { corrupt: unreadable, ...counts }, seconds) => {
      for (const [outcome, count] of Object.entries(counts)) messages.inc({ function: name, outcome }, count)
      if (unreadable > 0) corrupt.inc({ kind: 'retry' }, unreadable)
      batches.observe({ function: name }, seconds)
    }
  })
}

export default fp(metrics, { name: 'metrics', dependencies: ['stores'] })
