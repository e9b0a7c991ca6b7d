import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: {
      /** True from the first moment of an ordered stop. */
      draining: boolean
    }
    /**
     * Begins to stop: `/health/ready` answers 503 at once, while requests are still served for DRAIN_DELAY_MS, so that
     * a load balancer can see it before the listener closes.
     */
    drain: () => Promise<void>
  }
}

async function lifecycle(app: FastifyInstance) {
  const state = { draining: false }
  app.decorate('lifecycle', state)
  app.decorate('drain', async () => {
    state.draining = true
    await delay(app.config.DRAIN_DELAY_MS)
  })
}

export default fp(lifecycle, { name: 'lifecycle' })
