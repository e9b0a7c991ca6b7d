import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createRateCounter } from '../src/rate-counter.ts'

/** At most RATE_LIMIT_MAX requests a second for each client address, over all processes. */
async function limitRate(app: FastifyInstance) {
  const max = app.config.RATE_LIMIT_MAX
  if (max === 0) return
  const counter = createRateCounter(app.redis, app.keys)

  /** The interface that @fastify/rate-limit asks of a store; all its instances count together. */
  class Store {
    incr(client: string, done: (error: Error | null, result?: { current: number; ttl: number }) => void) {
      done(null, counter.hit(client))
    }

    child() {
      return this
    }
  }

  await app.register(rateLimit, {
    max,
    timeWindow: 1000,
    enableDraftSpec: true,
    store: Store,
    errorResponseBuilder: (_request, { max: limit }) =>
      Object.assign(
        new Error(`At most ${limit} requests a second are served to one client. Slow down and try again.`),
        { statusCode: 429 }
      )
  })
  app.addHook('onReady', async () => counter.start())
  app.addHook('onClose', async () => counter.stop())
}

export default fp(limitRate, { name: 'rate-limit', dependencies: ['redis'] })
