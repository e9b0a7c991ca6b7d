import type { FastifyBaseLogger } from 'fastify'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { isUnavailable, StoreRefused } from '../../stores/errors.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'

const script = loadScript(new URL('exchange.lua', import.meta.url))

/** What a process tells the others of itself. `lease` is its LEASE_MS, for each of its functions. */
const Settings = Type.Object({
  mode: Type.Enum(['api', 'worker']),
  lease: Type.Number(),
  functions: Type.Array(Type.String()),
  taxRate: Type.Number(),
  database: Type.String()
})
type Settings = Static<typeof Settings>

const settingsCheck = Compile(Settings)

/** The processes that live, and what has to be the same in them. */
export interface Processes {
  /** Notes that this process runs a function; to be called before the first exchange. */
  runs: (name: string) => void
  /** The longest LEASE_MS of the processes that run a function, this one included (ms). */
  lease: (name: string) => number
  /** Whether it is known now what others hold: a process that has just come may have a longer lease. */
  current: () => boolean
  /** Resolves when the others can know of this process, or when `signal` is aborted. */
  joined: (signal: AbortSignal) => Promise<void>
  /** What differs and should not, a sentence each. */
  warnings: () => string[]
  /** Notes that this process lives, and learns of the others. */
  exchange: () => Promise<void>
  /** Notes that this process ends. */
  leave: () => Promise<void>
}

export interface ProcessesOptions {
  redis: RedisStore
  keys: Keys
  /** Name of this process, which no other one ever has. */
  name: string
  settings: Omit<Settings, 'functions'>
  /** How long others may count on what this process holds after its last exchange, beside its lease (ms). */
  grace: number
  log: FastifyBaseLogger
}

const SAME = 'Start all of them with the same.'

export function createProcesses({ redis, keys, name, settings, grace, log }: ProcessesOptions): Processes {
  const own: Settings = { ...settings, functions: [] }
  const joined = Promise.withResolvers<void>()
  let others: Settings[] = []
  let exchangedAt = Number.NEGATIVE_INFINITY
  let warnings = new Map<string, string>()

  const note = (text: string) =>
    redis.run(client => script(client, [keys.processes()], [name, text, own.lease + grace])) as Promise<
      string[]
    >

  /** Logs each difference once, and once when it is gone. */
  const report = () => {
    const found = differences(own, others)
    for (const [setting, text] of found) if (warnings.get(setting) !== text) log.warn({ setting }, text)
    for (const setting of warnings.keys())
      if (!found.has(setting)) log.info({ setting }, 'the processes that run agree on a setting again')
    warnings = found
  }

  return {
    runs: name => own.functions.push(name),
    lease: name =>
      Math.max(
        own.lease,
        ...others.filter(({ functions }) => functions.includes(name)).map(({ lease }) => lease)
      ),
    current: () => performance.now() - exchangedAt < own.lease,
    joined: async signal => {
      const { promise: aborted, resolve } = Promise.withResolvers<void>()
      const stop = () => resolve()
      signal.addEventListener('abort', stop)
      if (!signal.aborted) await Promise.race([joined.promise, aborted])
      signal.removeEventListener('abort', stop)
    },
    warnings: () => [...warnings.values()],
    exchange: async () => {
      const began = performance.now()
      try {
        others = (await note(JSON.stringify(own))).flatMap(readSettings)
      } catch (error) {
        if (isUnavailable(error, 'redis')) throw error
        // A Redis that keeps no notes, whatever it says, is worked with as if there were no others.
        exchangedAt = began
        joined.resolve()
        throw error instanceof StoreRefused ? error : new StoreRefused('redis', error)
      }
      exchangedAt = began
      joined.resolve()
      report()
    },
    leave: async () => {
      await note('')
    }
  }
}

/** The settings in a note; none where it cannot be read: that note must not keep this process from its work. */
function readSettings(text: string): Settings[] {
  try {
    const found: unknown = JSON.parse(text)
    return settingsCheck.Check(found) ? [found] : []
  } catch {
    return []
  }
}

/** What differs among processes and has to be the same, by setting. */
function differences(own: Settings, all: Settings[]): Map<string, string> {
  const found = new Map<string, string>()
  const rivals = all.filter(({ functions }) => functions.some(name => own.functions.includes(name)))
  const leases = distinct(rivals.map(({ lease }) => lease)).sort((a, b) => a - b)
  if (leases.length > 1) {
    const text = `LEASE_MS differs among the workers (${leases.join(', ')}): the longest holds. ${SAME}`
    found.set('LEASE_MS', text)
  }
  const apis = all.filter(({ mode }) => mode === 'api')
  if (own.mode === 'api' && distinct(apis.map(({ taxRate }) => taxRate)).length > 1) {
    const text = `TAX_RATE differs among the apis: an order has the rate of the one that accepts it. ${SAME}`
    found.set('TAX_RATE', text)
  }
  if (distinct(all.map(({ database }) => database)).length > 1)
    found.set('DB_NAME', `DB_NAME differs among the processes: they share orders in Redis alone. ${SAME}`)
  return found
}

function distinct<T>(values: T[]): T[] {
  return [...new Set(values)]
}
