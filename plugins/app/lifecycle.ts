import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Connections } from '../../src/http/connection/connections.ts'

declare module 'fastify' {
  interface FastifyInstance {
    lifecycle: {
      /** True once an ordered stop has begun. */
      draining: boolean
      /** How long a stop may wait for work in flight before it must release the work (ms). */
      patience: number
      /** Registers a function that stops the intake of new work. It is called once, when the stop begins. */
      onDrain: (stop: () => Promise<unknown>) => void
      /** Reports an error after which only a new process can work. This process stops in order, with exit code 1. */
      fail: (error: Error) => void
      /** Registers a function that is called with the first error that `fail` reports. */
      onFail: (stop: (error: Error) => void) => void
    }
    /**
     * Begins to stop. Takes no new messages, and `/health/ready` answers 503. Still serves requests for DRAIN_DELAY_MS,
     * so that a load balancer sees the 503 before the listener closes.
     */
    drain: () => Promise<void>
  }
}

/** A stop releases work in flight at most this long before the end of the grace period (ms). */
const RELEASE_BEFORE = 1000

/** The longest time before the end of the grace period at which a stop refuses incomplete requests (ms). */
const LAST_ANSWERS = 1000

/** Adds the ordered stop. New work stops first, then the last answers are sent, and then every connection closes. */
async function lifecycle(app: FastifyInstance) {
  const { DRAIN_DELAY_MS, SHUTDOWN_GRACE_MS } = app.config
  const connections = new Connections(app.server)
  const stops: (() => Promise<unknown>)[] = []
  const failure = Promise.withResolvers<Error>()
  const state = {
    draining: false,
    patience: DRAIN_DELAY_MS + SHUTDOWN_GRACE_MS - Math.min(RELEASE_BEFORE, SHUTDOWN_GRACE_MS / 2),
    onDrain: (stop: () => Promise<unknown>) => {
      stops.push(stop)
    },
    fail: failure.resolve,
    onFail: (stop: (error: Error) => void) => void failure.promise.then(stop)
  }
  let stopped: Promise<unknown> | undefined
  let began = 0
  const stop = () => {
    if (!state.draining) {
      began = performance.now()
      connections.endWithAnswers()
    }
    state.draining = true
    stopped ??= Promise.all(stops.map(each => each()))
    return stopped
  }
  app.decorate('lifecycle', state)
  app.decorate('drain', async () => {
    await Promise.all([stop(), delay(DRAIN_DELAY_MS)])
  })
  // An app that closes without a drain stops in the same order.
  app.addHook('preClose', async () => {
    await stop()
    if (!app.server.listening) return
    const margin = Math.min(LAST_ANSWERS, SHUTDOWN_GRACE_MS / 2)
    const end = began + DRAIN_DELAY_MS + SHUTDOWN_GRACE_MS
    await connections.close(Math.max(0, end - margin - performance.now()), margin / 2)
  })
}

export default fp(lifecycle, { name: 'lifecycle' })
