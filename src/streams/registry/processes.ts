import type { FastifyBaseLogger } from 'fastify'
import { isUnavailable, StoreRefused } from '../../stores/errors.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { COMMON } from '../common.ts'
import type { Keys } from '../keys.ts'
import type { KnownFunction } from './known-functions.ts'
import { findDifferences, type ProcessRecord, RELEASE, readProcessRecord, runs } from './process-record.ts'

const script = loadScript(new URL('exchange.lua', import.meta.url))

/** Returns whether any process runs a function on a stream. */
export type IsRun = (known: Pick<KnownFunction, 'name' | 'stream'>) => boolean

/**
 * The register of the running processes, with their functions and the settings that must be the same in all of them.
 */
export interface Processes {
  /** Records that this process runs a function. Other processes find it after the next exchange. */
  runs: (known: KnownFunction) => void
  /** Returns the longest LEASE_MS of the processes that run a function, this one included (ms). */
  lease: (name: string) => number
  /**
   * Returns whether the last exchange is less than a lease ago. Older records may lack a new process with a longer
   * lease.
   */
  current: () => boolean
  /** Returns the search for a function in the running processes; undefined while the running processes are unknown. */
  isRun: () => IsRun | undefined
  /** Returns whether a process of the previous version runs. Such a process reads the hash `alive`. */
  hasOlder: () => boolean
  /**
   * Returns the lowest RELEASE of the running processes; undefined while they are unknown. A process that states no
   * RELEASE counts as 1.
   */
  oldestRelease: () => number | undefined
  /**
   * Returns whether every running process has at least this RELEASE. While Redis is unavailable, the records of the last
   * exchange decide. Returns false before the first exchange.
   */
  haveRelease: (release: number) => boolean
  /** Resolves after the first exchange, when other processes can find this process, or when `signal` aborts. */
  joined: (signal: AbortSignal) => Promise<void>
  /** Returns a sentence for each setting that must be the same in all processes and is not. */
  warnings: () => string[]
  /**
   * Renews the record of this process, and reads the records of the others.
   * @throws {StoreUnavailable} while Redis is unavailable.
   * @throws {StoreRefused} when Redis refuses the record. This process then continues without the current records of
   * others.
   */
  exchange: () => Promise<void>
  /** Removes the record of this process. */
  leave: () => Promise<void>
}

/** The dependencies of the register of processes. */
export interface ProcessesOptions {
  redis: RedisStore
  keys: Keys
  /** The name of this process. No other process ever has the same name. */
  name: string
  settings: Pick<ProcessRecord, 'mode' | 'lease' | 'taxRate' | 'database'>
  /** A record is kept for the lease and this time after the last exchange of its process (ms). */
  grace: number
  log: FastifyBaseLogger
}

/**
 * Creates the register of the running processes. It logs each difference in settings once, and logs once when the
 * difference no longer exists.
 */
export function createProcesses({ redis, keys, name, settings, grace, log }: ProcessesOptions): Processes {
  const own = { ...settings, release: RELEASE, functions: [] as string[], consumes: [] as KnownFunction[] }
  const joined = Promise.withResolvers<void>()
  let others: ProcessRecord[] = []
  let exchangedAt = Number.NEGATIVE_INFINITY
  let refused = false
  let warnings = new Map<string, string>()

  const write = (text: string) =>
    redis
      .masterOf(COMMON)
      .run(client => script(client, [keys.processes()], [name, text, own.lease + grace])) as Promise<string[]>
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

  const oldest = () => Math.min(RELEASE, ...others.map(({ release = 1 }) => release))

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
      return oldest()
    },
    haveRelease: release => Number.isFinite(exchangedAt) && !refused && oldest() >= release,
    joined: signal => unlessAborted(joined.promise, signal),
    warnings: () => [...warnings.values()],
    exchange,
    leave: async () => {
      await write('')
    }
  }
}

/** Resolves with a promise, or when a signal aborts. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const stop = () => resolve()
  signal.addEventListener('abort', stop)
  if (!signal.aborted) await Promise.race([promise, aborted])
  signal.removeEventListener('abort', stop)
}
