import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createPool, type Pool } from 'mysql2/promise'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { startRedis } from '../../tools/local/redis.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { connectTo, NOWHERE, openSpace, PATIENT, type Space, until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const shared = await useSpace()

/** The longest time that a store may take to answer (ms), for the service and for the author's own drivers. */
const TIMEOUT = 250

/**
 * A worker with a function that calls a driver for each message. The call begins when the gate is open. `errors` has
 * the errors of the calls, and `attempts` the number of the attempt at each call.
 */
async function callDriver(
  space: Space,
  env: Record<string, unknown>,
  call: (app: App) => Promise<unknown>,
  attempts = 1
) {
  let app: App | undefined
  const gate = { entered: false, open: Promise.resolve() }
  const errors: unknown[] = []
  const seen: number[] = []
  const fn = makeFunction(
    space,
    async ([message]) => {
      gate.entered = true
      await gate.open
      seen.push(message?.attempt ?? 0)
      try {
        await call(app as App)
      } catch (error) {
        errors.push(error)
        throw error
      }
      return undefined
    },
    { retry: { attempts, base: 10, max: 10 } }
  )
  const worker = await useApp(space, 'worker', { STORE_TIMEOUT_MS: TIMEOUT, ...env }, given => {
    app = given
    given.consume(fn.definition)
  })
  const { redis, mysql } = worker.app.stores
  await until('both stores are up', () => redis.up() && mysql.availability.up)
  const deadLetters = async () => (await worker.app.streams.deadLetters.list(fn.name, '', 10)).deadLetters
  const consumer = worker.app.streams.consumers.find(({ definition }) => definition.name === fn.name)
  return { fn, gate, errors, attempts: seen, deadLetters, waitingFor: () => consumer?.waitingFor() }
}

/**
 * Lets a message through, then begins a fault while the next call waits at the gate. Ends the fault when the call has
 * failed `failures` times and the function waits. Expects that no attempt was spent and that nothing was dead-lettered.
 */
async function expectNoAttemptSpent(
  { fn, gate, errors, attempts, deadLetters, waitingFor }: Awaited<ReturnType<typeof callDriver>>,
  store: 'redis' | 'mysql',
  failures: number,
  begin: () => Promise<() => Promise<unknown>>
) {
  await fn.add(1)
  await fn.settled()
  errors.length = 0
  attempts.length = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  Object.assign(gate, { entered: false, open: promise })
  await fn.add(2)
  await until('the handler has begun', () => gate.entered)
  const end = await begin()
  resolve()
  await until(
    'the call fails and the function waits',
    () => errors.length >= failures && waitingFor() === store
  )
  await end()
  await fn.settled()
  expect(attempts.length).toBeGreaterThan(failures)
  expect(new Set(attempts)).toEqual(new Set([1]))
  expect(await deadLetters()).toEqual([])
}

describe('a handler that calls MySQL', () => {
  const INSERT = "INSERT INTO outbox (order_id) VALUES ('none')"

  /** A pool that an author makes, with time limits of its own. */
  function ownPool(port: number): Pool {
    const { DB_HOST: host, DB_USER: user, DB_PASSWORD: password, DB_NAME: database } = shared.env
    const pool = createPool({ host, port, user, password, database, connectTimeout: TIMEOUT } as object)
    onTestFinished(() => void pool.end().catch(() => {}))
    return pool
  }

  /** Locks the tables as a backup does: MySQL answers pings, and each write waits. */
  async function lockTables() {
    const connection = await connectTo(shared)
    onTestFinished(() => connection.destroy())
    await connection.query('LOCK TABLES orders READ LOCAL, outbox READ LOCAL')
    return () => connection.query('UNLOCK TABLES')
  }

  type Proxy = Awaited<ReturnType<typeof startProxy>>

  /** Open connections hang, and new ones are refused. */
  async function freeze(proxy: Proxy) {
    proxy.moveTo(NOWHERE)
    proxy.freeze()
    return async () => proxy.moveTo(Number(shared.env.DB_PORT))
  }

  const drivers: [string, (app: App, own: Pool) => Promise<unknown>][] = [
    ['app.mysql', app => app.mysql.query(INSERT)],
    ['a pool of its own', (_app, own) => own.query({ sql: INSERT, timeout: TIMEOUT })]
  ]
  const faults: [string, number, (proxy: Proxy) => Promise<() => Promise<unknown>>][] = [
    // A call is repeated fewer times than this when its own connection breaks.
    ['all writes hang', 4, lockTables],
    ['MySQL hangs', 1, freeze]
  ]
  const cases = drivers.flatMap(([driver, call]) =>
    faults.map(([fault, failures, begin]) => [driver, fault, call, failures, begin] as const)
  )

  test.each(cases)(
    'through %s spends no attempt while %s',
    { timeout: 90_000 },
    async (_driver, _fault, call, failures, begin) => {
      const proxy = await startProxy(Number(shared.env.DB_PORT))
      const own = ownPool(proxy.port)
      const run = await callDriver(shared, { DB_PORT: proxy.port }, app => call(app, own))
      await expectNoAttemptSpent(run, 'mysql', failures, () => begin(proxy))
    }
  )

  test.each(drivers)('through %s spends its attempts on a duplicate key', async driver => {
    await shared.sql('CREATE TABLE IF NOT EXISTS own_rows (id INT PRIMARY KEY)')
    await shared.sql('REPLACE INTO own_rows VALUES (1)')
    const sql = 'INSERT INTO own_rows VALUES (1)'
    const own = ownPool(Number(shared.env.DB_PORT))
    const { fn, attempts, errors, deadLetters } = await callDriver(
      shared,
      PATIENT,
      app => (driver === 'app.mysql' ? app.mysql : own).query(sql),
      2
    )
    await fn.add(1)
    const [dead] = await until('it is a dead letter', async () => {
      const found = await deadLetters()
      return found.length > 0 && found
    })
    expect(dead).toMatchObject({ code: 'exhausted', attempts: 2, cause: { class: 'Error' } })
    expect(errors).toMatchObject([{ errno: 1062 }, { errno: 1062 }])
    expect(attempts).toEqual([1, 2])
  })
})

describe('a handler that calls Redis', () => {
  /** A Redis that only the running test uses, with a space in it, and functions that pause and continue it. */
  async function useOwnRedis() {
    const dir = await mkdtemp(join(tmpdir(), 'orderstream-bare-'))
    const server = await startRedis({ dir })
    const space = await openSpace({ ...inject('stores'), redis: server })
    onTestFinished(async () => {
      process.kill(server.pid, 'SIGCONT')
      await space.close()
      await server.stop()
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    const own = new Redis({ port: server.port, commandTimeout: TIMEOUT, maxRetriesPerRequest: 0 })
    own.on('error', () => {})
    onTestFinished(() => own.disconnect())
    return { space, own, pid: server.pid }
  }

  type OwnRedis = Awaited<ReturnType<typeof useOwnRedis>>

  /** Pauses Redis. Its sockets stay open, and it does not answer. */
  async function pause({ pid }: OwnRedis) {
    process.kill(pid, 'SIGSTOP')
    return async () => process.kill(pid, 'SIGCONT')
  }

  async function refuseWrites({ space }: OwnRedis) {
    await space.redis.config('SET', 'min-replicas-to-write', 1)
    return () => space.redis.config('SET', 'min-replicas-to-write', 0)
  }

  const drivers: [string, (app: App, own: Redis) => Redis][] = [
    ['app.redis', app => app.redis],
    ['a client of its own', (_app, own) => own]
  ]

  const setOf = async (redis: OwnRedis, clientOf: (app: App, own: Redis) => Redis) => {
    const key = `{${redis.space.env.KEY_PREFIX}:0}:own`
    const run = await callDriver(redis.space, {}, app => clientOf(app, redis.own).set(key, 'value'))
    return { run, written: async () => (await redis.space.redis.get(key)) === 'value' }
  }

  test.each(drivers)('through %s spends no attempt while Redis is paused', async (_driver, clientOf) => {
    const redis = await useOwnRedis()
    const { run, written } = await setOf(redis, clientOf)
    await expectNoAttemptSpent(run, 'redis', 1, () => pause(redis))
    expect(await written()).toBe(true)
  })

  test('through app.redis spends no attempt while Redis refuses writes', async () => {
    const redis = await useOwnRedis()
    const { run, written } = await setOf(redis, app => app.redis)
    await expectNoAttemptSpent(run, 'redis', 4, () => refuseWrites(redis))
    expect(await written()).toBe(true)
  })
})
