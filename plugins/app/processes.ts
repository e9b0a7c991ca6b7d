import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createProcesses, type Processes } from '../../src/streams/registry/processes.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The name of this process. It is unique over hosts and restarts. */
    processName: string
    processes: Processes
  }
}

/** The longest pause between two exchanges (ms). */
const EVERY = 1000

/** How long a silent process still counts as running, in addition to the time of a stop (ms). */
const SILENCE = 10_000

/** `app.processes`: the running processes, and their settings that must be the same. */
async function processes(app: FastifyInstance) {
  const { config, keys } = app
  const { redis } = app.stores
  // A new process must never have the name of an earlier process, because it would own the messages of that process.
  const name = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
  app.decorate('processName', name)
  const own = createProcesses({
    redis,
    keys,
    name,
    settings: {
      mode: config.MODE,
      lease: config.LEASE_MS,
      taxRate: Number(config.TAX_RATE),
      database: config.DB_NAME
    },
    grace: config.DRAIN_DELAY_MS + config.SHUTDOWN_GRACE_MS + SILENCE,
    log: app.log
  })
  app.decorate('processes', own)
  app.repeat({
    name: 'processes',
    // The process must know the lease of another worker before it claims a message of that worker.
    every: Math.min(EVERY, config.LEASE_MS / 4),
    run: async () => {
      await own.exchange()
      return false
    }
  })
}

export default fp(processes, { name: 'processes', dependencies: ['stores', 'background'] })
