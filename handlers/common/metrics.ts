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

/**
 * The media types that the route offers. Prometheus asks for types with parameters, and these match only a type with
 * the same parameters.
 */
const TYPES = [
  JSON_TYPE,
  'text/plain; version=0.0.4; charset=utf-8',
  'text/plain; version=1.0.0; escaping=allow-utf-8; charset=utf-8',
  'application/openmetrics-text; version=1.0.0; escaping=allow-utf-8; charset=utf-8',
  'application/openmetrics-text; version=0.0.1; charset=utf-8'
]

/**
 * Returns whether a client prefers text to JSON. A client that accepts neither gets JSON, because JSON is more useful
 * than an error.
 */
function prefersText(headers: IncomingHttpHeaders): boolean {
  return (new Negotiator({ headers }).mediaType(TYPES) ?? JSON_TYPE) !== JSON_TYPE
}

const schema = {
  operationId: 'getMetrics',
  summary: 'Report the figures of the service',
  description:
    'JSON by default, and for a client that accepts neither form. Prometheus text for a client that prefers `text/plain` or `application/openmetrics-text`.',
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

/** GET /metrics returns the figures as JSON for people and dashboards, or as text for Prometheus. */
export default async function metricsRoute(app: App) {
  const { config, keys, orders } = app
  const { redis } = app.stores
  const { registry } = app.metrics
  const expose = singleFlight(() => registry.metrics())
  const report = singleFlight(() => readMetrics(redis, keys, orders.store, config.DEFAULT_CURRENCY))

  // The route has no rate limit and no load shedding, because operators need it most under load. Concurrent requests
  // use the same reading, so that they do not slow down the stores.
  const options = { scope: 'none', rateLimit: false, pressureHandler: () => undefined } as const
  app.get('/metrics', { schema, config: options }, async (request, reply) => {
    reply.header('vary', 'Accept')
    if (prefersText(request.headers)) {
      return reply.header('content-type', registry.contentType).send(await expose())
    }
    return report()
  })
}
