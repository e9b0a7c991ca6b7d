import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFailed, onTestFinished } from 'vitest'
import { choosePorts } from '../../tools/chaos/ports.ts'
import { type LocalMariadb, startMariadb } from '../../tools/local/mariadb.ts'
import { type LocalStore, startRedis } from '../../tools/local/redis.ts'
import { openSpace, type Space } from '../harness/space.ts'

/** A store that a test can stop and start again. It keeps its port and its data. */
export interface OwnStore {
  /** Starts or continues the store. Does nothing while the store runs. */
  start: () => Promise<void>
  /** Kills the store with SIGKILL. */
  kill: () => Promise<void>
  /** Makes the store hang with SIGSTOP, with its sockets open, until `start`. */
  freeze: () => Promise<void>
}

/** The private stores of one test file. */
export interface OwnStores {
  redis: OwnStore
  mysql: OwnStore
  /** Starts both stores, and opens a space for the running test. */
  space: () => Promise<Space>
}

function ownStore<Store extends LocalStore>(open: () => Promise<Store>) {
  let store: Store | undefined
  let frozen = false
  const resume = () => {
    if (store && frozen) process.kill(store.pid, 'SIGCONT')
    frozen = false
  }
  return {
    current: () => store as Store,
    start: async () => {
      resume()
      store ??= await open()
    },
    kill: async () => {
      if (!store) return
      process.kill(store.pid, 'SIGKILL')
      await store.exited
      store = undefined
      frozen = false
    },
    freeze: async () => {
      if (store) process.kill(store.pid, 'SIGSTOP')
      frozen = true
    },
    stop: async () => {
      resume()
      await store?.stop()
    }
  }
}

/**
 * Starts a Redis and a MariaDB that only this file uses, and stops them after its tests. Their data is kept when a test
 * failed. Call it once in a test file.
 */
export async function useOwnStores(): Promise<OwnStores> {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-stores-'))
  const [redisPort, mysqlPort] = await choosePorts(2)
  const redis = ownStore(() => startRedis({ dir: join(dir, 'redis'), port: redisPort }))
  const mysql = ownStore<LocalMariadb>(() => startMariadb({ dir: join(dir, 'mariadb'), port: mysqlPort }))
  let failed = false
  afterAll(async () => {
    await Promise.all([redis.stop(), mysql.stop()])
    if (failed) console.error(`The data of the failed tests is kept in ${dir}`)
    else await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    redis,
    mysql,
    space: async () => {
      await Promise.all([redis.start(), mysql.start()])
      const space = await openSpace({ redis: redis.current(), mysql: mysql.current() })
      // A killed store breaks its connections. ioredis reconnects, and `queryRows` always opens a new one.
      space.redis.on('error', () => {})
      onTestFinished(() => space.close().catch(() => {}))
      onTestFailed(() => {
        failed = true
      })
      return space
    }
  }
}
