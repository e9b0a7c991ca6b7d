import { Type } from 'typebox'
import { Metrics } from '../../schema/metrics.ts'
import { ref } from '../../schema/ref.ts'
import { anyRoute } from '../../schema/response.ts'
import type { App } from '../../src/app.ts'
import { readMetrics } from '../../src/metrics-report.ts'
import { shared } from '../../src/shared.ts'

/** A client that takes JSON too gets that: many send a list of all that they can read. */
const wantsText = (accept = '') =>
  /text\/plain|application\/openmetrics-text/.test(accept) && !accept.includes('application/json')

const schema = {
  operationId: 'getMetrics',
  summary: 'Figures of the service',
  description:
    'JSON by default; the Prometheus exposition for `Accept: text/plain` or `application/openmetrics-text`.',
  tags: ['operations'],
  response: {
    200: {
      description: 'The figures.',
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
  const { redis, keys, orders } = app
  const { registry } = app.metrics
  const expose = shared(() => registry.metrics())
  const report = shared(() => readMetrics(redis, keys, orders.store))

  // Figures are wanted most when the service is busy: they are neither limited nor shed. So they are read once for all
  // who ask at a time, or many who do would leave the stores no time for orders.
  const config = { rateLimit: false, pressureHandler: () => undefined } as const
  app.get('/metrics', { schema, config }, async (request, reply) => {
    if (wantsText(request.headers.accept)) {
      return reply.header('content-type', registry.contentType).send(await expose())
    }
    return report()
  })
}
