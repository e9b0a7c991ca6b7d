import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set by a route that answers under any load. */
    pressureHandler?: () => undefined
  }
}

/** Sheds new requests with 503 and Retry-After while the event loop lags behind: a late answer helps nobody. */
async function loadShedding(app: FastifyInstance) {
  if (app.config.MAX_EVENT_LOOP_DELAY_MS === 0) return
  await app.register(underPressure, { maxEventLoopDelay: app.config.MAX_EVENT_LOOP_DELAY_MS, retryAfter: 1 })
}

// After `security`, so that a refusal has its headers.
export default fp(loadShedding, { name: 'load-shedding', dependencies: ['security'] })
