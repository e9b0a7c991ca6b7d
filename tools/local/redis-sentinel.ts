import { mkdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './process.ts'
import { type LocalStore, ping, type StoreOptions, startRedis } from './redis.ts'
import { startServer } from './server.ts'

/** The name of the master among the sentinels. */
export const MASTER_NAME = 'orders'

/** The time after which a silent master counts as failed (ms). */
const DOWN_AFTER = 1000

/** A private Redis on 127.0.0.1 with replicas and sentinels. */
export interface LocalSentinels {
  /** The servers. The first one is the master at the start. */
  servers: readonly LocalStore[]
  sentinels: readonly LocalStore[]
  /** Starts a server again that was killed, with its port and its data. */
  restart: (index: number) => Promise<void>
  stop: () => Promise<void>
}

/** The options of a Redis with sentinels. */
export interface SentinelOptions extends Pick<StoreOptions, 'dir' | 'args' | 'signal'> {
  replicas: number
  sentinels: number
}

/** Starts a master, its replicas and the sentinels that watch them. */
export async function startRedisWithSentinels(options: SentinelOptions): Promise<LocalSentinels> {
  const { dir, args = [], signal } = options
  const own = ['--repl-diskless-sync-delay', '0', ...args]
  const start = (index: number, port: number | undefined, more: string[]) =>
    startRedis({ dir: join(dir, `redis-${index}`), port, args: [...own, ...more], signal })
  const master = await start(0, undefined, [])
  const replicaOf = ['--replicaof', `127.0.0.1 ${master.port}`]
  const servers = [
    master,
    ...(await Promise.all(
      Array.from({ length: options.replicas }, (_, index) => start(index + 1, undefined, replicaOf))
    ))
  ]
  const quorum = Math.floor(options.sentinels / 2) + 1
  const sentinels = await Promise.all(
    Array.from({ length: options.sentinels }, (_, index) =>
      startSentinel(join(dir, `sentinel-${index}`), master.port, quorum, signal)
    )
  )
  return {
    servers,
    sentinels,
    restart: async index => {
      const { port, exited } = servers[index] as LocalStore
      await exited
      // A sentinel makes it a replica of the present master.
      servers[index] = await start(index, port, [])
    },
    stop: async () => {
      await Promise.all([...sentinels, ...servers].map(server => server.stop()))
    }
  }
}

async function startSentinel(
  dir: string,
  master: number,
  quorum: number,
  signal: AbortSignal | undefined
): Promise<LocalStore> {
  const command = await findProgram('redis-server', 'valkey-server')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const home = await realpath(dir)
  const file = join(home, 'sentinel.conf')
  await writeFile(
    file,
    [
      'bind 127.0.0.1',
      `dir ${home}`,
      'set-proc-title no',
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master} ${quorum}`,
      `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER}`,
      `sentinel failover-timeout ${MASTER_NAME} 5000`,
      ''
    ].join('\n')
  )
  return startServer({
    name: 'sentinel',
    dir: home,
    mark: home,
    command,
    args: port => [file, '--sentinel', '--port', String(port)],
    cwd: home,
    signal,
    notReady: ping
  })
}
