import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Config } from '../../../schema/config/env.ts'
import type { RedisMaster } from './master.ts'

/** The Redis of this process. Each partition of the streams is on one master. */
export interface RedisStore {
  /** The client of functions, without a circuit breaker. For a cluster, it is ioredis's `Cluster`. */
  client: Redis
  /** Runs the commands of a function with `client`. Other errors than those of Redis stay unchanged. */
  run: <T>(work: (client: Redis) => Promise<T>) => Promise<T>
  /** Returns the connection to the master of a key, without a circuit breaker. @throws {StoreUnavailable} when it is unknown. */
  clientOf: (key: string) => Redis
  /** Returns the master that has the keys of a partition. */
  masterOf: (partition: number) => RedisMaster
  /** Returns every master that has a partition. */
  masters: () => readonly RedisMaster[]
  /** Returns whether every master is available. */
  up: () => boolean
  /** Returns the partitions whose master is unavailable. */
  unavailable: () => number[]
  /** Probes every master now. Resolves to whether all are available. */
  check: () => Promise<boolean>
  start: () => Promise<void>
  close: () => Promise<void>
}

/** The dependencies of the Redis of a process. */
export interface RedisStoreOptions {
  config: Config
  log: FastifyBaseLogger
  /** Returns a key of a partition. */
  keyOf: (partition: number) => string
  /** The partitions that this process uses. Their masters are opened at the start. */
  partitions: readonly number[]
  /** The key that `check` reads. */
  checkedKey: string
  /**
   * Throws when this process must not use this Redis now. `clientOf` returns the connection to the master of a key. Each
   * probe of the master of `checkedKey` calls it.
   */
  check: (clientOf: (key: string) => Redis) => Promise<void>
}
