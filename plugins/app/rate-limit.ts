import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createRateCounter } from '../../src/http/rate-limit/counter.ts'
import { type Quota, QuotaExceeded, setQuotaFields } from '../../src/http/rate-limit/quota.ts'
import { routeOf } from '../../src/http/request-context.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Returns a function that counts one more request of the sender of a request, which must have its caller. The function
     * returns the error for a request over the limit.
     */
    countFurther: (request: FastifyRequest) => () => QuotaExceeded | undefined
  }
}

/**
 * Limits each caller with credentials, and each client address without them, to RATE_LIMIT_MAX requests a second, over
 * all processes. An API key may have a limit of its own. A request below the limit costs one count. @fastify/rate-limit
 * refuses requests above the limit of their route (`config.rateLimit`; `false` for none).
 */
async function limitRate(app: FastifyInstance) {
  const max = app.config.RATE_LIMIT_MAX || Number.POSITIVE_INFINITY
  const counter = createRateCounter(app.stores.redis, app.keys)

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
    timeWindow: 1000,
    enableDraftSpec: true,
    // The fields of the current draft have other names. `QuotaExceeded` sets these.
    addHeaders: { 'ratelimit-limit': false, 'ratelimit-remaining': false, 'ratelimit-reset': false },
    addHeadersOnExceeding: {
      'ratelimit-limit': false,
      'ratelimit-remaining': false,
      'ratelimit-reset': false
    },
    keyGenerator: ({ caller, ip }) => caller.id ?? clientOf(ip),
    store: Store,
    errorResponseBuilder: (_request, { max: limit }) => new QuotaExceeded(quotaOf('route', limit, limit))
  })
  app.addHook('onRequest', (request, reply, done) => {
    const { rateLimit: own } = routeOf(request).config
    if (own === false) return done()
    const { id, rateLimit: limit } = app.identify(request)
    if (id === undefined) {
      // A closed connection has no address. Such requests count together.
      const count = counter.hit(request.ip ?? '', clientOf)
      return done(
        own === undefined && count > max ? new QuotaExceeded(quotaOf('address', max, count)) : undefined
      )
    }
    const quota = quotaOf('caller', limit ?? max, counter.hit(id))
    if (own !== undefined || quota.limit === Number.POSITIVE_INFINITY) return done()
    if (quota.left < 0) return done(new QuotaExceeded(quota))
    setQuotaFields(reply, quota)
    done()
  })
  app.decorate('countFurther', ({ caller: { id, rateLimit: limit }, ip = '' }) => {
    if (id !== undefined) return () => refusal(quotaOf('caller', limit ?? max, counter.hit(id)))
    return () => refusal(quotaOf('address', max, counter.hit(ip, clientOf)))
  })
  app.addHook('onReady', async () => counter.start())
  app.addHook('onClose', async () => counter.stop())
}

function quotaOf(policy: Quota['policy'], limit: number, count: number): Quota {
  return { policy, limit, left: limit - count, reset: 1 }
}

function refusal(quota: Quota): QuotaExceeded | undefined {
  return quota.left < 0 ? new QuotaExceeded(quota) : undefined
}

/** Returns the client of an address. Some proxies append the client's port in X-Forwarded-For. */
function clientOf(address: string): string {
  const plain = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1]
  return normalizeIP(plain ?? address)
}

// After `security`, so that a refusal has its headers. After `auth`, which identifies the callers.
export default fp(limitRate, {
  name: 'rate-limit',
  dependencies: ['stores', 'security', 'auth']
})
