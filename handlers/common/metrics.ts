import type { IncomingHttpHeaders } from 'node:http'
import Negotiator from 'negotiator'
import { Type } from 'typebox'
import { Metrics } from '../../schema/http/metrics.ts'
import { ref } from '../../schema/http/ref.ts'
import { anyRoute } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { singleFlight } from '../../src/async/single-flight.ts'
import { readMetrics } from '../../src/http/metrics-report.ts'

const JSON_TYPE = 'application/json'

/** What a client may ask for. A media range with parameters matches a type that has them: those are what Prometheus sends. */
const TYPES = [
  JSON_TYPE,
  'text/plain; version=0.0.4; charset=utf-8',
  'text/plain; version=1.0.0; escaping=allow-utf-8; charset=utf-8',
  'application/openmetrics-text; version=1.0.0; escaping=allow-utf-8; charset=utf-8',
  'application/openmetrics-text; version=0.0.1; charset=utf-8'
]

/** A client that accepts none of the types gets JSON: an answer that it did not ask for says more than none. */
function prefersText(headers: IncomingHttpHeaders): boolean {
  return (new Negotiator({ headers }).mediaType(TYPES) ?? JSON_TYPE) !== JSON_TYPE
}

const schema = {
  operationId: 'getMetrics',
  summary: 'Figures of the service',
  description:
    'JSON by default, and for a client that accepts neither form; the Prometheus exposition for one that prefers `text/plain` or `application/openmetrics-text`.',
  tags: ['operations'],
  response: {
    200: {
      description: 'The figures.',
      headers: { Vary: Type.String({ description: 'Always `Accept`.' }) },
      content: {
        'application/json': { schema: Type.Unsafe<Metrics | string>(ref(Metrics)) },
        'text/plain': { schema: Type.Unsafe<Metrics | string>({ type: 'string' }) }
      }
    },
    ...anyRoute
  }
} as const

/** GET /metrics: figures for people and dashboards (JSON), and for Prometheus. */
export default async function metricsRoute(app: App) {
  const { keys, orders } = app
  const { redis } = app.stores
  const { registry } = app.metrics
  const expose = singleFlight(() => registry.metrics())
  const report = singleFlight(() => readMetrics(redis, keys, orders.store))

  // Figures are wanted most when the service is busy: they are neither limited nor shed. So they are read once for all
  // who ask at a time, or many who do would leave the stores no time for orders.
  const config = { rateLimit: false, pressureHandler: () => undefined } as const
  app.get('/metrics', { schema, config }, async (request, reply) => {
    reply.header('vary', 'Accept')
    if (prefersText(request.headers)) {
      return reply.header('content-type', registry.contentType).send(await expose())
    }
    return report()
  })
}
