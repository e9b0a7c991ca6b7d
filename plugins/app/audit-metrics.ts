import { Gauge } from '@prometheus-io/client'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { singleFlight } from '../../src/async/single-flight.ts'
import { readAudit } from '../../src/orders/audit/audit.ts'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { readUnsettled } from '../../src/streams/registry/unsettled.ts'
import { GLOBAL_GAUGE } from '../../src/telemetry/global-gauge.ts'

/** The help of each figure of a function's state. */
const WAITING = {
  depth:
    'Messages of a stream that a function has not settled; those of a queue, whichever function consumes it.',
  retrying: 'Messages of a function that wait for another attempt.',
  dead: 'Dead letters of a function.'
} as const

/** Adds the figures that are read at each scrape: the audit, unsettled events, and the states of functions. */
async function auditMetrics(app: FastifyInstance) {
  const { metrics, keys, streams, functions } = app
  const { redis, orders: mysql } = app.stores
  const registers = [metrics.registry]

  /** Returns undefined when the reading fails, because an error would remove all other figures from the scrape. */
  const readable = async <T>(reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading
    } catch (error) {
      if (!(error instanceof StoreUnavailable))
        app.log.error({ err: error }, 'figures could not be read for the metrics')
      return undefined
    }
  }

  new Gauge({
    name: 'orderstream_audit',
    help: `What became of every order, as /admin/audit reports it; absent while it cannot be read. ${GLOBAL_GAUGE}`,
    labelNames: ['figure'],
    registers,
    async collect() {
      this.reset()
      const audit = await readable(readAudit(redis, mysql, keys))
      if (!audit) return
      const { timestamp: _, redis_lost_data: lost, ...figures } = audit
      for (const [figure, value] of Object.entries({ ...figures, redis_lost_data: Number(lost) }))
        this.set({ figure }, value)
    }
  })
  new Gauge({
    name: 'orderstream_events_unsettled',
    help: `Events that a group has not settled, and that stay in Redis for it; absent while it cannot be read. ${GLOBAL_GAUGE}`,
    labelNames: ['group'],
    registers,
    async collect() {
      this.reset()
      const unsettled = (await readable(readUnsettled(redis, keys))) ?? []
      for (const [group, count] of unsettled) this.set({ group }, count)
    }
  })
  const readStates = singleFlight(() => readable(functions.states()))
  for (const figure of ['depth', 'retrying', 'dead'] as const) {
    new Gauge({
      name: `orderstream_function_${figure}`,
      help: `${WAITING[figure]} Absent while it cannot be read. ${GLOBAL_GAUGE}`,
      labelNames: ['function', 'stream'],
      registers,
      async collect() {
        this.reset()
        for (const state of (await readStates()) ?? [])
          this.set({ function: state.name, stream: state.stream }, state[figure])
      }
    })
  }
  new Gauge({
    name: 'orderstream_function_paused',
    help: 'Whether a stream function of this process waits for a store that is unavailable or refuses what it needs (1).',
    labelNames: ['function'],
    registers,
    collect() {
      for (const [name, reason] of streams.paused()) this.set({ function: name }, reason ? 1 : 0)
    }
  })
}

export default fp(auditMetrics, { name: 'audit-metrics', dependencies: ['metrics', 'streams', 'functions'] })
