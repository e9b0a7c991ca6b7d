import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, inject, onTestFinished } from 'vitest'
import type { Config } from '../../schema/config/env.ts'
import { resolveConfig } from '../../schema/config/resolve.ts'
import { createKeys } from '../../src/streams/keys.ts'
import type { Stores } from './stores.ts'

/** A port without a listener. It is outside the range of client ports, so a client cannot connect to itself. */
export const NOWHERE = 1

/** The part of the stores that one test file owns: a database and a key prefix. */
export interface Space {
  /** The environment of a process that uses this space. */
  env: Record<string, string>
  config: (overrides: Record<string, unknown>) => Config
  /** Runs SQL on the database. The service does not use this connection. */
  sql: <T>(query: string, values?: unknown[]) => Promise<T[]>
  /** A Redis client. The service does not use it. */
  redis: Redis
  /** Returns every key of this space, sorted. */
  keys: () => Promise<string[]>
  close: () => Promise<void>
}

/**
 * Settings for a busy machine. The store timeouts are long, because short timeouts would report outages that do not
 * exist. There is no load shedding. A test of one of these settings overrides it.
 */
export const PATIENT = { STORE_TIMEOUT_MS: '5000', MAX_EVENT_LOOP_DELAY_MS: '0' }

/** Opens another connection to the database of a space, for locks, or after the server has restarted. */
export function connectTo({ env }: Pick<Space, 'env'>): Promise<Connection> {
  return createConnection({
    host: env.DB_HOST as string,
    port: Number(env.DB_PORT),
    user: env.DB_USER as string,
    password: env.DB_PASSWORD as string,
    database: env.DB_NAME as string,
    dateStrings: true
  })
}

export async function openSpace(stores: Stores): Promise<Space> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const { host, port, user, password } = stores.mysql
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true
  })
  await connection.query(`CREATE DATABASE ${name}`)
  await connection.query(`USE ${name}`)
  const redis = new Redis({ ...stores.redis, replyMapping: 'legacy' })
  const env = {
    REDIS_HOST: stores.redis.host,
    REDIS_PORT: String(stores.redis.port),
    DB_HOST: host,
    DB_PORT: String(port),
    DB_USER: user,
    DB_PASSWORD: password,
    DB_NAME: name,
    KEY_PREFIX: name,
    PORT: '0',
    DRAIN_DELAY_MS: '0',
    AUTH: 'off'
  }
  return {
    env,
    redis,
    config: overrides => resolveConfig({ ...env, ...overrides }),
    sql: async <T>(query: string, values: unknown[] = []) =>
      (await connection.query<(T & RowDataPacket)[]>(query, values))[0],
    keys: async () => (await redis.keys(`{${name}:*`)).sort(),
    close: async () => {
      redis.disconnect()
      await connection.end()
    }
  }
}

/** Opens a space in the stores of this run. It closes after the tests of the file. Call this once in a test file. */
export async function useSpace(): Promise<Space> {
  const space = await openSpace(inject('stores'))
  afterAll(() => space.close())
  return space
}

/**
 * Lets the running test use another key prefix with the database of a space, as a new Redis. A database has its orders
 * under one prefix, so this records the other one. Without a record, a process that still runs would record its own.
 * Returns the prefix.
 */
export async function useOtherPrefix({ env, sql }: Space, name: string): Promise<string> {
  const prefix = `${env.KEY_PREFIX}.${name}`
  onTestFinished((() => sql('DELETE FROM redis_layout').catch(unlessMissing)) as () => Promise<void>)
  await sql(
    "REPLACE INTO redis_layout (id, key_prefix, cluster, state, changed_at) VALUES (1, ?, 0, 'used', UTC_TIMESTAMP(3))",
    [prefix]
  ).catch(unlessMissing)
  return prefix
}

/** Lets a process use the keys of a space in Redis although it starts without MySQL, as if they had been in use. */
export async function markKeysInUse({ redis }: Space, prefix: string, partitions = 1): Promise<void> {
  await redis.set(createKeys(prefix, partitions).partitionCount(), partitions)
}

function unlessMissing(error: Error): void {
  if ((error as NodeJS.ErrnoException).code !== 'ER_NO_SUCH_TABLE') throw error
}

/** Waits until `condition` returns a truthy value, and returns this value. Fails with `what` after `timeout` ms. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeout = 20_000
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + timeout
  for (;;) {
    const value = await condition()
    if (value) return value as Exclude<T, false | null | undefined>
    if (performance.now() > deadline) throw new Error(`${what}: not so after ${timeout} ms`)
    await delay(20)
  }
}
