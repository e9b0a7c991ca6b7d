import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: {
      /** True from the first moment of an ordered stop. */
      draining: boolean
      /** Registers what stops taking in new work; it is called once, when the stop begins. */
      onDrain: (stop: () => Promise<unknown>) => void
    }
    /**
     * Begins to stop: no new work is taken from streams and `/health/ready` answers 503 at once, while requests are
     * still served for DRAIN_DELAY_MS, so that a load balancer can see it before the listener closes.
     */
    drain: () => Promise<void>
  }
}

async function lifecycle(app: FastifyInstance) {
  const stops: (() => Promise<unknown>)[] = []
  const state = {
    draining: false,
    onDrain: (stop: () => Promise<unknown>) => {
      stops.push(stop)
    }
  }
  let stopped: Promise<unknown> | undefined
  const stop = () => {
    state.draining = true
    stopped ??= Promise.all(stops.map(each => each()))
    return stopped
  }
  app.decorate('lifecycle', state)
  app.decorate('drain', async () => {
    await Promise.all([stop(), delay(app.config.DRAIN_DELAY_MS)])
  })
  // An app that is closed without having been drained stops in the same order.
  app.addHook('preClose', async () => {
    await stop()
  })
}

export default fp(lifecycle, { name: 'lifecycle' })
