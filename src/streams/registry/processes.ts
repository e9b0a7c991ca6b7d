import type { FastifyBaseLogger } from 'fastify'
import { isUnavailable, StoreRefused } from '../../stores/errors.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import type { KnownFunction } from './known-functions.ts'
import { findDifferences, type ProcessRecord, RELEASE, readProcessRecord, runs } from './process-record.ts'

const script = loadScript(new URL('exchange.lua', import.meta.url))

/** Whether a live process runs a function on a stream. */
export type IsRun = (known: Pick<KnownFunction, 'name' | 'stream'>) => boolean

/** The live processes, what they run, and what must be the same in them. */
export interface Processes {
  /** Records that this process runs a function. Call it before the first exchange. */
  runs: (known: KnownFunction) => void
  /** Returns the longest LEASE_MS of the processes that run a function, this one included (ms). */
  lease: (name: string) => number
  /**
   * Returns whether the records of others are known and current: a process that has just started may have a longer
   * lease.
   */
  current: () => boolean
  /** Returns what the live processes run; undefined while that is unknown. */
  isRun: () => IsRun | undefined
  /** Returns whether a process of the version before lives, which reads the hash `alive`. */
  hasOlder: () => boolean
  /**
   * Returns the lowest RELEASE of the processes that run, 1 for those that state none; undefined while that is unknown.
   */
  oldestRelease: () => number | undefined
  /** Resolves when the others can know of this process, or when `signal` is aborted. */
  joined: (signal: AbortSignal) => Promise<void>
  /** Returns a sentence for each setting that differs and must not. */
  warnings: () => string[]
  /**
   * Renews the record of this process and reads those of the others.
   * @throws {StoreUnavailable} while Redis is unavailable.
   * @throws {StoreRefused} when Redis keeps no records. This process works on as if it were alone.
   */
  exchange: () => Promise<void>
  /** Removes the record of this process. */
  leave: () => Promise<void>
}

/** The dependencies of the register of processes. */
export interface ProcessesOptions {
  redis: RedisStore
  keys: Keys
  /** Name of this process, which no other one ever has. */
  name: string
  settings: Pick<ProcessRecord, 'mode' | 'lease' | 'taxRate' | 'database'>
  /** The time for which a record is kept after the last exchange of its process, beside the lease (ms). */
  grace: number
  log: FastifyBaseLogger
}

/** Creates the register of live processes. It logs each difference in settings once, and once when it is gone. */
export function createProcesses({ redis, keys, name, settings, grace, log }: ProcessesOptions): Processes {
  const own = { ...settings, release: RELEASE, functions: [] as string[], consumes: [] as KnownFunction[] }
  const joined = Promise.withResolvers<void>()
  let others: ProcessRecord[] = []
  let exchangedAt = Number.NEGATIVE_INFINITY
  let refused = false
  let warnings = new Map<string, string>()

  const write = (text: string) =>
    redis.run(client => script(client, [keys.processes()], [name, text, own.lease + grace])) as Promise<
      string[]
    >
  const current = () => performance.now() - exchangedAt < own.lease

  const reportDifferences = () => {
    const found = findDifferences(own, others)
    for (const [setting, text] of found) if (warnings.get(setting) !== text) log.warn({ setting }, text)
    for (const setting of warnings.keys())
      if (!found.has(setting)) log.info({ setting }, 'the processes that run agree on a setting again')
    warnings = found
  }

  const exchange = async () => {
    const began = performance.now()
    const records = await write(JSON.stringify(own)).catch(error => {
      if (isUnavailable(error, 'redis')) throw error
      return error instanceof StoreRefused ? error : new StoreRefused('redis', error)
    })
    exchangedAt = began
    joined.resolve()
    refused = records instanceof StoreRefused
    if (records instanceof StoreRefused) throw records
    others = records.flatMap(readProcessRecord)
    reportDifferences()
  }

  return {
    runs: ({ name, stream, group }) => {
      own.functions.push(name)
      own.consumes.push({ name, stream, group })
    },
    lease: name =>
      Math.max(
        own.lease,
        ...others.filter(({ functions }) => functions.includes(name)).map(({ lease }) => lease)
      ),
    current,
    isRun: () => {
      if (refused || !current()) return undefined
      return known => others.some(record => runs(record, known))
    },
    hasOlder: () => others.some(({ consumes }) => consumes === undefined),
    oldestRelease: () => {
      if (refused || !current()) return undefined
      return Math.min(RELEASE, ...others.map(({ release = 1 }) => release))
    },
    joined: async signal => {
      const { promise: aborted, resolve } = Promise.withResolvers<void>()
      const stop = () => resolve()
      signal.addEventListener('abort', stop)
      if (!signal.aborted) await Promise.race([joined.promise, aborted])
      signal.removeEventListener('abort', stop)
    },
    warnings: () => [...warnings.values()],
    exchange,
    leave: async () => {
      await write('')
    }
  }
}
