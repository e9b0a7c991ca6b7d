import { Health, Probe } from '../../schema/health.ts'
import { anyRoute, response } from '../../schema/response.ts'
import type { App } from '../../src/app.ts'

/** Health is asked for when things go wrong: it is neither limited nor shed. */
const config = { rateLimit: false, pressureHandler: () => undefined } as const
const probe = { ...config, quiet: true } as const

/** Said while accepts go straight into MySQL, because Redis could forget them. */
const EVICTS =
  'Redis may evict orders that wait (maxmemory-policy), so orders are accepted in MySQL: set it to volatile-lru.'

const health = {
  operationId: 'getHealth',
  summary: 'State of the service and its stores',
  tags: ['operations'],
  response: {
    200: response(Health, {
      description: 'Orders can be accepted or read; `degraded` while one store is away.'
    }),
    ...anyRoute,
    503: response(Health, { description: 'Orders can be neither accepted nor read.' })
  }
} as const

const live = {
  operationId: 'getLiveness',
  summary: 'Whether the process runs',
  tags: ['operations'],
  response: { 200: response(Probe, { description: 'It runs.' }), ...anyRoute }
} as const

const ready = {
  operationId: 'getReadiness',
  summary: 'Whether to send requests here',
  tags: ['operations'],
  response: {
    200: response(Probe, { description: 'Send them.' }),
    ...anyRoute,
    503: response(Probe, { description: 'The process is stopping, or both stores are away.' })
  }
} as const

/** GET /health, /health/live, /health/ready: for people, and for orchestrators. */
export default async function healthRoutes(app: App) {
  const { redis, mysql, lifecycle, streams } = app

  app.get('/health', { schema: health, config }, async (_request, reply) => {
    const [redisUp, databaseUp] = await Promise.all([redis.availability.check(), mysql.availability.check()])
    const functions = streams.consumers.map(consumer => ({
      name: consumer.definition.name,
      state: consumer.waitingFor() ? ('paused' as const) : ('running' as const)
    }))
    return reply.code(redisUp || databaseUp ? 200 : 503).send({
      status: redisUp && databaseUp ? 'healthy' : 'degraded',
      timestamp: new Date().toISOString(),
      services: {
        redis: redisUp ? 'connected' : 'disconnected',
        database: databaseUp ? 'connected' : 'disconnected'
      },
      ...(functions.length > 0 && { functions }),
      ...(redis.facts().evicts && { warnings: [EVICTS] })
    })
  })

  app.get('/health/live', { schema: live, config: probe }, async () => ({ status: 'ok' as const }))

  app.get('/health/ready', { schema: ready, config: probe }, async (_request, reply) => {
    if (lifecycle.draining) return reply.code(503).send({ status: 'stopping' })
    if (!redis.availability.up && !mysql.availability.up)
      return reply.code(503).send({ status: 'unavailable' })
    return reply.code(200).send({ status: 'ok' })
  })
}
