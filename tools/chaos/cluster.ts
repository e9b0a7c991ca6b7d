import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createDatabase, type LocalMariadb, startMariadb } from '../local/mariadb.ts'
import { describeExit } from '../local/process.ts'
import { startRedis } from '../local/redis.ts'
import type { LocalServer } from '../local/server.ts'
import { startService } from '../local/service.ts'
import { createMysqlAccount, redisAccount, SERVICE_PASSWORD, SERVICE_USER } from './accounts.ts'
import { type MemberName, memberNames } from './plan.ts'
import { choosePorts } from './ports.ts'
import type { StoreAccess } from './stores.ts'

/** One process of the system. It keeps its port and its directory when it restarts. */
export interface Member {
  name: MemberName
  port: number
  log: () => string
  /** Runs one piece of work at a time, so that a process has one fault at a time. */
  exclusively: <T>(work: () => Promise<T>) => Promise<T>
  /** Sends SIGKILL. Resolves when the process has exited. */
  kill: () => Promise<void>
  /**
   * Starts the process, and tries again until it is ready.
   * @throws when the process is not ready in two minutes
   */
  start: () => Promise<void>
  signal: (signal: 'SIGSTOP' | 'SIGCONT') => void
  stop: () => Promise<void>
}

/** The whole system: two stores, two apis, two workers. */
export interface Cluster {
  members: Record<MemberName, Member>
  access: StoreAccess
  adminToken: string
  /** One line for each exit or failed start of a process that no fault explains. */
  incidents: string[]
  /** Stops the service, then the stores. */
  stop: () => Promise<void>
}

/** The folder of the system's files, and its number of partitions. */
export interface ClusterOptions {
  dir: string
  partitions: number
  signal: AbortSignal
}

const DATABASE = 'orderstream'
const RESTART_PAUSE = 500
const START_WITHIN = 120_000

/** Starts every process. Resolves when all are ready. */
export async function startCluster({ dir, partitions, signal }: ClusterOptions): Promise<Cluster> {
  const chosen = await choosePorts(memberNames.length)
  const ports = Object.fromEntries(memberNames.map((name, index) => [name, chosen[index]])) as Record<
    MemberName,
    number
  >
  const incidents: string[] = []
  const adminToken = 'chaos-admin-token-of-a-private-instance'
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOST: '127.0.0.1',
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(ports.redis),
    REDIS_USERNAME: SERVICE_USER,
    REDIS_PASSWORD: SERVICE_PASSWORD,
    DB_HOST: '127.0.0.1',
    DB_PORT: String(ports.mariadb),
    DB_NAME: DATABASE,
    DB_USER: SERVICE_USER,
    DB_PASSWORD: SERVICE_PASSWORD,
    KEY_PREFIX: 'chaos',
    STREAM_PARTITIONS: String(partitions),
    LEASE_MS: '2000',
    DRAIN_DELAY_MS: '0',
    ADMIN_TOKEN: adminToken,
    AUTH: 'off'
  }
  let mariadb: LocalMariadb | undefined
  const launch = async (name: MemberName): Promise<LocalServer> => {
    const options = { dir: join(dir, name), port: ports[name], signal }
    if (name === 'redis') return startRedis({ ...options, args: redisAccount })
    if (name === 'mariadb') {
      mariadb = await startMariadb(options)
      return mariadb
    }
    const mode = name.startsWith('api') ? 'api' : 'worker'
    return startService({ ...options, mode, env, host: '127.0.0.1' })
  }
  const list = memberNames.map(name =>
    createMember(name, ports[name], () => launch(name), { incidents, signal })
  )
  const members = Object.fromEntries(list.map(member => [member.name, member])) as Cluster['members']
  const [stores, services] = [list.slice(0, 2), list.slice(2)]
  const stop = async () => {
    for (const group of [services, stores]) await Promise.allSettled(group.map(member => member.stop()))
  }
  try {
    for (const name of memberNames) await mkdir(join(dir, name), { recursive: true, mode: 0o700 })
    await Promise.all(stores.map(member => member.start()))
    const { host, port, user, password } = mariadb as unknown as LocalMariadb
    await createDatabase(mariadb as unknown as LocalMariadb, DATABASE)
    const access: StoreAccess = {
      redis: { host: '127.0.0.1', port: ports.redis },
      mysql: { host, port, user, password, database: DATABASE },
      prefix: 'chaos',
      partitions
    }
    await createMysqlAccount(access)
    await Promise.all(services.map(member => member.start()))
    return { members, access, adminToken, incidents, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function createMember(
  name: MemberName,
  port: number,
  launch: () => Promise<LocalServer>,
  { incidents, signal }: { incidents: string[]; signal: AbortSignal }
): Member {
  let server: LocalServer | undefined
  let expected = false
  let stopping = false
  let alive = false
  let turn: Promise<unknown> = Promise.resolve()

  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work)
    turn = mine.catch(() => {})
    return mine
  }

  const start = async (): Promise<void> => {
    const deadline = performance.now() + START_WITHIN
    for (;;) {
      if (stopping) return
      signal.throwIfAborted()
      try {
        server = await launch()
        watch(server)
        return
      } catch (error) {
        signal.throwIfAborted()
        incidents.push(`${name} did not start: ${(error as Error).message.slice(0, 1500)}`)
        if (performance.now() > deadline) throw error
        await delay(RESTART_PAUSE)
      }
    }
  }

  /** Records the exit of a process that exits by itself, and restarts it. */
  const watch = (watched: LocalServer) => {
    alive = true
    expected = false
    watched.exited.then(exit => {
      alive = false
      if (expected || stopping || signal.aborted) return
      incidents.push(`${name} ended by itself with ${describeExit(exit)}`)
      exclusively(start).catch(() => {})
    })
  }

  return {
    name,
    port,
    log: () => server?.log ?? '',
    exclusively,
    start,
    kill: async () => {
      if (!server || !alive) return
      expected = true
      process.kill(server.pid, 'SIGKILL')
      await server.exited
    },
    signal: which => {
      if (server && alive) process.kill(server.pid, which)
    },
    stop: async () => {
      stopping = true
      // Waits for a start in progress, which stops its process itself.
      await turn
      await server?.stop()
    }
  }
}
