import type { FastifyBaseLogger } from 'fastify'
import type { TaxRate } from '../../../schema/http/tax-rate.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { COMMON } from '../../streams/common.ts'
import type { Keys } from '../../streams/keys.ts'
import { createMirror, type Mirror } from './mirror.ts'
import { addChange, type RateOrigin, readChanges, readLastStamp, type WantedRate } from './rate-changes.ts'
import { type RateTable, rateAt, toTable, versionOf } from './rate-table.ts'

/**
 * The time for which a process uses rates after a store has confirmed them (ms). It is half of `NOTICE`, so that a
 * process that was frozen or disconnected does not use outdated rates.
 */
const CONFIRMED_FOR = 30_000

/** The tax rates of the regions. A process that accepts orders has all rates in memory. */
export interface TaxRates {
  /**
   * Returns the rate of a region at a time (UTC ISO 8601 with milliseconds) as decimal text. Returns undefined when the
   * region has no rate at that time. Reads only memory.
   * @throws {StoreUnavailable} when no store has confirmed the rates in the last 30 seconds.
   */
  rateOf: (region: string, at: string) => string | undefined
  /**
   * Reads the rates from MySQL, or from the mirror in Redis, and corrects an outdated mirror. Call this every few
   * seconds.
   * @throws {StoreUnavailable} when the rates cannot be read from either store, or Redis refuses to write the mirror.
   */
  refresh: () => Promise<void>
  /**
   * Reads all rates from MySQL.
   * @throws {StoreUnavailable} when MySQL is unavailable.
   */
  list: () => Promise<TaxRate[]>
  /**
   * Sets a rate, unless the region already has the same rate from the same time.
   * @throws {TaxRateRefused} when the rate would begin too early.
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

/** Creates the tax rates of a process. `rateOf` throws until the first refresh has finished. */
export function createTaxRates({ redis, mysql, keys, log }: TaxRatesOptions): TaxRates {
  const mirror = createMirror(redis.masterOf(COMMON), keys.taxRates())
  let table: RateTable | undefined
  let confirmedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> = Promise.resolve()

  const load = async () => {
    const begun = performance.now()
    // The stamp is read before the rows. If another process writes the mirror in between, the stamp differs from
    // `seen`, and this process does not overwrite the newer mirror.
    const seen = await mirror.stamp().catch(ifUnavailable)
    table = await readNewest(mysql, mirror, table, seen)
    confirmedAt = begun
    if (seen !== undefined && seen !== table.stamp) await mirror.write(seen, table)
  }
  // Refreshes run one after the other, so that no refresh replaces a newer table with an older table.
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
      // Refuses the change while Redis is unavailable: an api that starts without MySQL could not read the rate in the
      // mirror.
      await mirror.stamp()
      const rate = await addChange(mysql, wanted, origin)
      await refresh().catch(error => log.warn({ err: error }, 'tax rates could not be refreshed'))
      return rate
    }
  }
}

/**
 * Reads the newest rates from MySQL or the mirror. `known` are the rates in this process. `seen` is the stamp of the
 * mirror; undefined while Redis is unavailable.
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
    // A missing mirror does not mean that there are no rates, because Redis may have lost the mirror.
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
