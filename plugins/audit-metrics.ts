import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Gauge } from 'prom-client'
import { readAudit } from '../src/orders/audit.ts'
import { StoreUnavailable } from '../src/stores/errors.ts'
import { readUnsettled } from '../src/streams/unsettled.ts'

/** Figures that are read when Prometheus asks: the audit, events that wait, and functions that wait for a store. */
async function auditMetrics(app: FastifyInstance) {
  const { metrics, redis, mysql, keys, streams } = app
  const registers = [metrics.registry]
  new Gauge({
    name: 'orderstream_audit',
    help: 'What became of every order, as /admin/audit tells it; absent while it cannot be read.',
    labelNames: ['figure'],
    registers,
    async collect() {
      this.reset()
      try {
        const { timestamp: _, redis_lost_data: lost, ...figures } = await readAudit(redis, mysql, keys)
        for (const [figure, value] of Object.entries({ ...figures, redis_lost_data: Number(lost) }))
          this.set({ figure }, value)
      } catch (error) {
        // Thrown, it would take all other figures of the scrape with it.
        if (!(error instanceof StoreUnavailable))
          app.log.error({ err: error }, 'the audit could not be read for the metrics')
      }
    }
  })
  new Gauge({
    name: 'orderstream_events_unsettled',
    help: 'Events that a group has not settled, and that stay in Redis for it; absent while Redis is away.',
    labelNames: ['group'],
    registers,
    async collect() {
      this.reset()
      for (const [group, count] of await readUnsettled(redis, keys).catch(noneIfAway))
        this.set({ group }, count)
    }
  })
  new Gauge({
    name: 'orderstream_function_paused',
    help: 'Whether a stream function of this process waits for a store that is away or takes no writes (1).',
    labelNames: ['function'],
    registers,
    collect() {
      for (const { definition, waitingFor } of streams.consumers)
        this.set({ function: definition.name }, waitingFor() ? 1 : 0)
    }
  })
}

function noneIfAway(error: unknown): Map<string, number> {
  if (error instanceof StoreUnavailable) return new Map()
  throw error
}

export default fp(auditMetrics, { name: 'audit-metrics', dependencies: ['metrics', 'streams'] })
