import type { IncomingMessage, Server, ServerResponse } from 'node:http'
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

/** How often connections that idle are closed during a stop (ms). */
const IDLE_CHECK = 50

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
    if (!state.draining) app.server.prependListener('request', endConnection)
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
    if (app.server.listening) closeWhatIdles(app.server)
  })
}

/** Tells a client that its connection ends with the answer. */
function endConnection(_request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false
}

/**
 * Closes connections as they become idle, until the server is closed: Node.js closes those that are idle as the stop
 * begins, and would wait for a request that is under way then until its client hangs up.
 */
function closeWhatIdles(server: Server): void {
  const timer = setInterval(() => server.closeIdleConnections(), IDLE_CHECK)
  server.once('close', () => clearInterval(timer))
}

export default fp(lifecycle, { name: 'lifecycle' })
