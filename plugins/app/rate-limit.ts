import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createRateCounter } from '../../src/http/rate-counter.ts'
import { routeOf } from '../../src/http/request-context.ts'

/**
 * Limits each client address to RATE_LIMIT_MAX requests a second, over all processes. A request below the limit costs one
 * count. @fastify/rate-limit refuses requests above it, or above the limit of their route (`config.rateLimit`; `false` for
 * none).
 */
async function limitRate(app: FastifyInstance) {
  const max = app.config.RATE_LIMIT_MAX
  if (max === 0) return
  const counter = createRateCounter(app.stores.redis, app.keys, clientOf)

  /** The store interface of @fastify/rate-limit. The hook below has counted already. */
  class Store {
    incr(client: string, done: (error: Error | null, result?: { current: number; ttl: number }) => void) {
      done(null, counter.look(client))
    }

    child() {
      return this
    }
  }

  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: 1000,
    enableDraftSpec: true,
    keyGenerator: request => clientOf(request.ip),
    store: Store,
    errorResponseBuilder: (_request, { max: limit }) =>
      app.httpErrors.tooManyRequests(
        `At most ${limit} requests a second are served to one client. Slow down and try again.`
      )
  })
  const refuse = app.rateLimit()
  app.addHook('onRequest', function countRequest(request, reply, done) {
    const { rateLimit: own } = routeOf(request).config
    if (own === false) return done()
    // A closed connection has no address. Such requests count together.
    const count = counter.hit(request.ip ?? '')
    if (own !== undefined || count <= max) return done()
    refuse.call(this, request, reply).then(() => done(), done)
  })
  app.addHook('onReady', async () => counter.start())
  app.addHook('onClose', async () => counter.stop())
}

/** Returns the client of an address. Some proxies append the client's port in X-Forwarded-For. */
function clientOf(address: string): string {
  const plain = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1]
  return normalizeIP(plain ?? address)
}

// After `security`, so that a refusal has its headers.
export default fp(limitRate, {
  name: 'rate-limit',
  dependencies: ['@fastify/sensible', 'stores', 'security']
})
