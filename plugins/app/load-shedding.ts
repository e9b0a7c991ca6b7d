import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A route sets it to answer under any load. */
    pressureHandler?: () => undefined
  }
}

/** Refuses new requests with 503 and Retry-After while the event loop is too slow, because late answers are useless. */
async function loadShedding(app: FastifyInstance) {
  if (app.config.MAX_EVENT_LOOP_DELAY_MS === 0) return
  await app.register(underPressure, { maxEventLoopDelay: app.config.MAX_EVENT_LOOP_DELAY_MS, retryAfter: 1 })
}

// After `security`, so that a refusal has its headers.
export default fp(loadShedding, { name: 'load-shedding', dependencies: ['security'] })
