import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { resolveConfig } from '../../schema/config/resolve.ts'
import { type App, buildApp } from '../../src/app.ts'
import { createDatabase, type LocalMariadb, startMariadb } from '../local/mariadb.ts'
import { type LocalStore, startRedis } from '../local/redis.ts'

/**
 * The Redis servers. `everysec` syncs every second. `always` syncs before each reply, which is the default of the
 * service. `spare` is a second server like `everysec`, for a phase in which two contestants need separate servers.
 */
export type RedisName = 'everysec' | 'always' | 'spare'

/** The private stores of one run. Only one contestant uses them at a time. */
export interface Stores {
  redis: Record<RedisName, LocalStore>
  mariadb: LocalMariadb
  /** Opens a part of the stores and creates its tables. Returns the same part for the same name. */
  place: (name: string, redisName: RedisName) => Promise<Place>
  stop: () => Promise<void>
}

/** The part of the stores that one contestant uses: a key prefix, and a database with the tables of the service. */
export interface Place {
  prefix: string
  redisServer: LocalStore
  mariadb: LocalMariadb
  /** The environment of a program that uses this part. */
  env: Record<string, string>
  redis: Redis
  sql: <T>(query: string, values?: unknown[]) => Promise<T[]>
  /** Empties the whole Redis and the tables. No process may use them. */
  reset: () => Promise<void>
  close: () => Promise<void>
}

/** Starts the Redis servers and a MariaDB with their data under `dir`. */
export async function startStores(dir: string, signal: AbortSignal): Promise<Stores> {
  await mkdir(dir, { recursive: true })
  const startOne = (name: RedisName) =>
    startRedis({
      dir: join(dir, `redis-${name}`),
      // A rewrite of the append-only file would slow down only some of the rounds.
      args: [
        '--appendfsync',
        name === 'always' ? 'always' : 'everysec',
        '--auto-aof-rewrite-percentage',
        '0'
      ],
      signal
    })
  const starting = [
    startOne('everysec'),
    startOne('always'),
    startOne('spare'),
    startMariadb({
      dir: join(dir, 'mariadb'),
      // The table has ten million rows. A real server for orders also has more than the default of 128 MB.
      args: ['--innodb-buffer-pool-size=4G', '--innodb-log-file-size=1G'],
      signal
    })
  ] as const
  const stop = async () => {
    const started = await Promise.allSettled(starting)
    await Promise.all(started.map(each => each.status === 'fulfilled' && each.value.stop()))
  }
  try {
    const [everysec, always, spare, mariadb] = await Promise.all(starting)
    const redis = { everysec, always, spare }
    const places = new Map<string, Promise<Place>>()
    const place = (name: string, redisName: RedisName) => {
      const known = places.get(name) ?? openPlace(redis[redisName], mariadb, name)
      places.set(name, known)
      return known
    }
    // Closes connections before the servers stop. Otherwise they would reconnect and keep this process running.
    const close = async () => {
      const opened = await Promise.allSettled(places.values())
      await Promise.all(opened.map(each => each.status === 'fulfilled' && each.value.close()))
      await stop()
    }
    return { redis, mariadb, place, stop: close }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Returns the environment of a program with the database and the key prefix `name`. */
export function environmentOf(
  redisServer: LocalStore,
  { host, port, user, password }: LocalMariadb,
  name: string
): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    REDIS_HOST: redisServer.host,
    REDIS_PORT: String(redisServer.port),
    DB_HOST: host,
    DB_PORT: String(port),
    DB_USER: user,
    DB_PASSWORD: password,
    DB_NAME: name,
    KEY_PREFIX: name,
    AUTH: 'off'
  }
}

async function openPlace(redisServer: LocalStore, mariadb: LocalMariadb, name: string): Promise<Place> {
  const { host, port, user, password } = mariadb
  await createDatabase(mariadb, name)
  const env = environmentOf(redisServer, mariadb, name)
  // The service creates the tables when it starts, as in production.
  await withApp({ env }, async () => {})
  const client = new Redis({ host: redisServer.host, port: redisServer.port, replyMapping: 'legacy' })
  const pool: Pool = createPool({ host, port, user, password, database: name, connectionLimit: 2 })
  const sql = async <T>(query: string, values: unknown[] = []) =>
    (await pool.query<(T & RowDataPacket)[]>(query, values))[0]
  return {
    prefix: name,
    redisServer,
    mariadb,
    env,
    redis: client,
    sql,
    reset: async () => {
      await client.flushall()
      const tables = ['orders', 'outbox', 'accepted_seen', 'accepted_ended', 'accepted_epochs']
      for (const table of tables) await sql(`TRUNCATE TABLE ${table}`)
    },
    close: async () => {
      client.disconnect()
      await pool.end()
    }
  }
}

/** Calls `work` with the service in this process. The service writes no log and does not listen. */
export async function withApp<T>(place: Pick<Place, 'env'>, work: (app: App) => Promise<T>): Promise<T> {
  const app = await buildApp(resolveConfig({ ...place.env, MODE: 'api', LOG_LEVEL: 'silent' }))
  await app.ready()
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}
