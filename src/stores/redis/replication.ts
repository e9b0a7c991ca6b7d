import type { Redis } from 'ioredis'
import type { RedisServer } from './server.ts'

/** The result of a call, and whether enough replicas have all its writes. */
export interface Replicated<T> {
  value: T
  replicated: boolean
}

/** Runs calls that write, and waits for the replicas. */
export interface Replication {
  /** Runs a call. When no replica is connected, or none answers in time, `replicated` is false. */
  run: <T>(work: (client: Redis, server: RedisServer) => Promise<T>) => Promise<Replicated<T>>
}

/** The dependencies of the replication of a master. */
export interface ReplicationOptions {
  /** A connection for these calls alone, because WAIT blocks it. */
  connection: Redis
  server: RedisServer
  /** The number of replicas that must have the writes. */
  replicas: number
  /** The longest wait for them (ms). */
  wait: number
}

interface Job {
  work: (client: Redis, server: RedisServer) => Promise<unknown>
  resolve: (result: Replicated<unknown>) => void
  reject: (error: unknown) => void
}

/**
 * Creates the replication of a master. Calls and WAIT use the same connection: WAIT is about the writes of its own
 * connection, and a second connection may reach another server after a failover. While one WAIT runs, further calls
 * gather, and the next WAIT is for all of them.
 */
export function createReplication({ connection, server, replicas, wait }: ReplicationOptions): Replication {
  let jobs: Job[] = []
  let running = false
  // A new connection may reach another server, which does not have the writes of the old connection.
  let connections = 0
  connection.on('close', () => {
    connections++
  })

  const haveAll = async (before: number): Promise<boolean> => {
    if (server.facts().replicas < replicas) return false
    try {
      const count = await connection.wait(replicas, wait)
      return count >= replicas && connections === before
    } catch {
      return false
    }
  }

  const runJobs = async () => {
    running = true
    while (jobs.length > 0) {
      const group = jobs
      jobs = []
      const before = connections
      const results = await Promise.allSettled(group.map(({ work }) => work(connection, server)))
      const replicated = results.some(({ status }) => status === 'fulfilled') && (await haveAll(before))
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index] as PromiseSettledResult<unknown>
        if (result.status === 'fulfilled') resolve({ value: result.value, replicated })
        else reject(result.reason)
      }
    }
    running = false
  }

  return {
    run: work =>
      new Promise((resolve, reject) => {
        jobs.push({ work, resolve: resolve as Job['resolve'], reject })
        if (!running) void runJobs()
      })
  }
}
