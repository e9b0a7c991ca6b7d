import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFailed, onTestFinished } from 'vitest'
import { choosePorts } from '../../tools/chaos/ports.ts'
import { type LocalMariadb, startMariadb } from '../../tools/local/mariadb.ts'
import { type LocalStore, startRedis } from '../../tools/local/redis.ts'
import { openSpace, type Space } from '../harness/space.ts'

/** A store that can go away and come back: its port and its data stay. */
export interface OwnStore {
  /** Starts it, or lets it go on; nothing happens to one that runs. */
  start: () => Promise<void>
  /** SIGKILL. */
  kill: () => Promise<void>
  /** SIGSTOP: it hangs, with its sockets open, until it is started. */
  freeze: () => Promise<void>
}

/** Stores of one test file alone. */
export interface OwnStores {
  redis: OwnStore
  mysql: OwnStore
  /** A database and a key prefix of the running test; both stores are started for it. */
  space: () => Promise<Space>
}

function ownStore<Store extends LocalStore>(open: () => Promise<Store>) {
  let store: Store | undefined
  let frozen = false
  const thaw = () => {
    if (store && frozen) process.kill(store.pid, 'SIGCONT')
    frozen = false
  }
  return {
    current: () => store as Store,
    start: async () => {
      thaw()
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
      thaw()
      await store?.stop()
    }
  }
}

/**
 * A Redis and a MariaDB that this file may kill and stop, ended after its tests. Their data is kept when one of them
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
      // Its connections break when a store is killed; ioredis makes a new one, and `look` another of its own.
      space.redis.on('error', () => {})
      onTestFinished(() => space.close().catch(() => {}))
      onTestFailed(() => {
        failed = true
      })
      return space
    }
  }
}
