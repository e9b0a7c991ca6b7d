import { Health, Probe } from '../../schema/http/health.ts'
import { anyRoute, response } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { ORDER_FUNCTION } from '../../src/orders/names.ts'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { describeAuthentication, reasonOf } from '../../src/stores/reason.ts'
import { LayoutRefused } from '../../src/streams/operate/layout.ts'
import { PartitionCountChanged } from '../../src/streams/operate/partition-count.ts'
import { redisStatus } from '../../src/streams/operate/redis-status.ts'
import type { Unrun } from '../../src/streams/registry/unrun.ts'
import { MANY_UNSETTLED } from '../../src/streams/registry/unsettled.ts'

/** The routes have no rate limit and no load shedding, because operators need them most under load. */
const config = { scope: 'none', rateLimit: false, pressureHandler: () => undefined } as const
const probe = { ...config, quiet: true } as const

/** The warning while MySQL answers but refuses writes. No order can be completed then. */
const writesWarning = (reason: string) => `Orders are accepted in Redis and not completed: ${reason}.`

/** The warning about a group with many unsettled events. The group of a removed function would keep them forever. */
const unsettledWarning = (group: string, count: number) =>
  `The function ${group} has not settled ${count} events, which stay in Redis for it: see why, or, if it is gone, end it ` +
  `with \`npm run admin -- functions forget ${group}\`.`

/** The warning about a function that has waiting messages, but no worker runs it. It may be renamed or removed. */
const unrunWarning = ({ name, retrying, dead, unread, silent }: Unrun) => {
  const waits = [
    ...(retrying > 0 ? [`${retrying} retries`] : []),
    ...(dead > 0 ? [`${dead} dead letters`] : []),
    ...unread.map(({ stream, count }) => `${count} unread messages on ${stream}`)
  ]
  const found = `The function ${name} has ${waits.join(', ')}, and no worker has run it for ${Math.floor(silent / 60_000)} minutes: start one`
  // The service always needs this function, so no one can forget it.
  if (name === ORDER_FUNCTION) return `${found}.`
  return (
    `${found}, or, if it was renamed or is gone, end it with \`npm run admin -- functions forget ${name}\`, which makes ` +
    'dead letters of its retries.'
  )
}

/** The warning while a store refuses a background task. */
const taskWarning = (task: string, reason: string) => `The background task ${task} does not run: ${reason}.`

/** The warning while some masters of a cluster are unavailable. */
const partitionsWarning = (partitions: number[]) =>
  `A master of Redis is unavailable. The orders of these partitions are accepted in MySQL: ${partitions.join(', ') || 'none'}.`

/** Returns why this process does not use an available Redis; undefined for another reason. */
function settingsWarning(reason: unknown): string | undefined {
  const cause = reason instanceof StoreUnavailable ? reason.cause : undefined
  const refused = cause instanceof LayoutRefused || cause instanceof PartitionCountChanged
  return refused ? `This process does not use Redis: ${cause.message}` : undefined
}

/** The warning while Redis does not accept orders. */
const ordersWarning = (reason: string) => `Orders are accepted in MySQL: ${reason}.`

const health = {
  operationId: 'getHealth',
  summary: 'Report the state of the service and its stores',
  description: '`degraded` says that the service needs an operator. `warnings` says why.',
  tags: ['operations'],
  response: {
    200: response(Health, {
      description: 'Orders can be accepted or read. `degraded`: a store is unavailable or refuses some calls.'
    }),
    ...anyRoute,
    503: response(Health, { description: 'Orders can be neither accepted nor read.' })
  }
} as const

const live = {
  operationId: 'getLiveness',
  summary: 'Report that the process runs',
  description: 'For the liveness probe of an orchestrator. It does not ask the stores.',
  tags: ['operations'],
  response: { 200: response(Probe, { description: 'The process runs.' }), ...anyRoute }
} as const

const ready = {
  operationId: 'getReadiness',
  summary: 'Report whether to send requests here',
  description: 'For the readiness probe of an orchestrator.',
  tags: ['operations'],
  response: {
    200: response(Probe, { description: 'The process takes requests.' }),
    ...anyRoute,
    503: response(Probe, { description: 'The process is stopping, or both stores are unavailable.' })
  }
} as const

/** GET /health reports the state to operators; /health/live and /health/ready report it to orchestrators. */
export default async function healthRoutes(app: App) {
  const { keys, lifecycle, streams, orders, processes } = app
  const registered = app.functions
  const { redis, mysql } = app.stores

  app.get('/health', { schema: health, config }, async (_request, reply) => {
    const [, databaseUp] = await Promise.all([redis.check(), mysql.availability.check()])
    const status = redisStatus(redis, keys)
    const takesWrites = !databaseUp || (await mysql.availability.writable())
    const unwritten = takesWrites ? undefined : mysql.availability.refusal
    const functions = [...streams.paused()].map(([name, reason]) =>
      reason ? { name, state: 'paused' as const, reason } : { name, state: 'running' as const }
    )
    const refusal = orders.intake.refusedBy()
    const works =
      status === 'connected' &&
      databaseUp &&
      takesWrites &&
      !refusal &&
      functions.every(({ state }) => state === 'running')
    const unsettled = [...registered.unsettled()].filter(([, count]) => count > MANY_UNSETTLED)
    const refused = [...redis.masters(), mysql].flatMap(({ availability: { up, reason } }) =>
      up ? [] : [describeAuthentication(reason), settingsWarning(reason)]
    )
    const warnings = [
      ...(status === 'partial' ? [partitionsWarning(redis.unavailable())] : []),
      ...new Set(refused.filter(warning => warning !== undefined)),
      ...(unwritten ? [writesWarning(reasonOf(unwritten))] : []),
      ...unsettled.map(([group, count]) => unsettledWarning(group, count)),
      ...registered.unrun().map(unrunWarning),
      ...[...app.refusedTasks()].map(([task, reason]) => taskWarning(task, reason)),
      ...(refusal ? [ordersWarning(refusal)] : []),
      ...processes.warnings()
    ]
    return reply.code(status !== 'disconnected' || databaseUp ? 200 : 503).send({
      status: works ? 'healthy' : 'degraded',
      timestamp: new Date().toISOString(),
      services: {
        redis: status,
        database: databaseUp ? 'connected' : 'disconnected'
      },
      ...(functions.length > 0 && { functions }),
      ...(warnings.length > 0 && { warnings })
    })
  })

  app.get('/health/live', { schema: live, config: probe }, async () => ({ status: 'ok' as const }))

  app.get('/health/ready', { schema: ready, config: probe }, async (_request, reply) => {
    if (lifecycle.draining) return reply.code(503).send({ status: 'stopping' })
    if (!mysql.availability.up && redis.unavailable().length === keys.partitions)
      return reply.code(503).send({ status: 'unavailable' })
    return reply.code(200).send({ status: 'ok' })
  })
}
