import type { FastifyBaseLogger } from 'fastify'
import type { TaxRate } from '../../../schema/http/tax-rate.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { createMirror, type Mirror } from './mirror.ts'
import { addChange, type RateOrigin, readChanges, readLastStamp, type WantedRate } from './rate-changes.ts'
import { type RateTable, rateAt, toTable, versionOf } from './rate-table.ts'

/**
 * The time for which rates are used after a store confirmed them (ms). Half of the notice of a new rate: a process that
 * was frozen or cut off must not price by outdated rates.
 */
const CONFIRMED_FOR = 30_000

/** The tax rates of the regions. A process that prices orders has all of them in memory. */
export interface TaxRates {
  /**
   * Returns the rate of a region at a time (UTC ISO 8601 with milliseconds) as decimal text; undefined when the region
   * has none then. Asks no store.
   * @throws {StoreUnavailable} while no store has confirmed the rates lately.
   */
  rateOf: (region: string, at: string) => string | undefined
  /**
   * Reads the rates from MySQL, or from their mirror in Redis, and mends the mirror. Call it every few seconds.
   * @throws {StoreUnavailable} when neither store has the rates, or Redis refuses the mirror.
   */
  refresh: () => Promise<void>
  /** Reads all rates from MySQL. @throws {StoreUnavailable} when it is unavailable. */
  list: () => Promise<TaxRate[]>
  /**
   * Sets a rate, unless the region has it from that time on already.
   * @throws {TaxRateRefused} when it would begin too early.
   * @throws {StoreUnavailable} when a store is unavailable.
   */
  set: (wanted: WantedRate, origin: RateOrigin) => Promise<TaxRate>
}

/** The dependencies of the tax rates. */
export interface TaxRatesOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
  log: FastifyBaseLogger
}

/** Creates the tax rates of a process. It knows none before the first refresh. */
export function createTaxRates({ redis, mysql, keys, log }: TaxRatesOptions): TaxRates {
  const mirror = createMirror(redis, keys.taxRates())
  let table: RateTable | undefined
  let confirmedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> = Promise.resolve()

  const load = async () => {
    const begun = performance.now()
    // Before the rows: a mirror that another process writes meanwhile then differs from what was seen.
    const seen = await mirror.stamp().catch(ifUnavailable)
    table = await readNewest(mysql, mirror, table, seen)
    confirmedAt = begun
    if (seen !== undefined && seen !== table.stamp) await mirror.write(seen, table)
  }
  // One after the other, so that none puts an older table in the place of a newer one.
  const refresh = () => {
    running = running.catch(() => {}).then(load)
    return running
  }

  return {
    rateOf: (region, at) => {
      if (!table || performance.now() - confirmedAt > CONFIRMED_FOR)
        throw new StoreUnavailable('mysql', new Error('the tax rates are unknown'))
      return rateAt(table, region, at)
    },
    refresh,
    list: async () => toTable(await readChanges(mysql)).rates,
    set: async (wanted, origin) => {
      // Without Redis, an api that starts without MySQL would not find the rate there.
      await mirror.stamp()
      const rate = await addChange(mysql, wanted, origin)
      await refresh().catch(error => log.warn({ err: error }, 'tax rates could not be refreshed'))
      return rate
    }
  }
}

/**
 * Reads the newest rates that a store has; `known` are those of this process, `seen` is the stamp of the mirror, or
 * undefined while Redis is unavailable.
 */
async function readNewest(
  mysql: MysqlStore,
  mirror: Mirror,
  known: RateTable | undefined,
  seen: string | undefined
): Promise<RateTable> {
  try {
    const stamp = await readLastStamp(mysql)
    return known?.stamp === stamp ? known : toTable(await readChanges(mysql))
  } catch (error) {
    if (!(error instanceof StoreUnavailable) || seen === undefined) throw error
    if (known?.stamp === seen) return known
    // A mirror that is missing shows nothing: Redis may have lost it.
    if (seen === '') throw error
    if (known && known.version > versionOf(seen)) return known
    const mirrored = await mirror.read()
    if (!mirrored) throw error
    return mirrored
  }
}

function ifUnavailable(error: unknown): undefined {
  if (!(error instanceof StoreUnavailable)) throw error
}
