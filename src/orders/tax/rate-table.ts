import type { TaxRate } from '../../../schema/http/tax-rate.ts'

/**
 * One change of the rates: a row of `tax_rates`. Times are UTC ISO 8601 with milliseconds. The rate is decimal text.
 */
export interface RateChange extends Omit<TaxRate, 'valid_to'> {
  version: number
}

/** The rates after all changes up to `version`. */
export interface RateTable {
  /** The version of the last change; 0 when there is no change. */
  version: number
  /** Identifies the last change, even when a restored backup repeats versions; '' when there is no change. */
  stamp: string
  /** All rates, sorted by region and time. */
  rates: TaxRate[]
  /** The rates of each region, the latest rate first. */
  regions: Map<string, TaxRate[]>
}

/** The shortest time (ms) between the change and the begin of a rate. Every process reads the new rate in this time. */
export const NOTICE = 60_000

/** The rate cannot begin at the requested time, because a process may still accept orders at another rate. */
export class TaxRateRefused extends Error {
  override name = 'TaxRateRefused'

  constructor(region: string, earliest: string) {
    super(
      `${region} has a rate already. Another one can begin at ${earliest} at the earliest, so that every process knows it in time.`
    )
  }
}

/** Returns the stamp of a change. */
export function stampOf({ version, created_at }: Pick<RateChange, 'version' | 'created_at'>): string {
  return `${version}@${created_at}`
}

/** Returns the version in a stamp. Returns 0 for ''. */
export function versionOf(stamp: string): number {
  return Number(stamp.split('@', 1)[0])
}

/** Derives the rates from all changes. `changes` must be sorted by version. */
export function toTable(changes: RateChange[]): RateTable {
  const last = changes.at(-1)
  // When two changes of a region have the same begin, the later change is used.
  const begins = new Map(changes.map(change => [`${change.region} ${change.valid_from}`, change]))
  const sorted = [...begins.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change)
  const rates = sorted.map(({ region, rate, valid_from, created_at }, index) => {
    const next = sorted[index + 1]
    return {
      region,
      rate,
      valid_from,
      valid_to: next?.region === region ? next.valid_from : null,
      created_at
    }
  })
  return indexed(last ? stampOf(last) : '', rates)
}

/** Makes a table of rates. `rates` must be sorted by region and time. */
export function indexed(stamp: string, rates: TaxRate[]): RateTable {
  const regions = Map.groupBy(rates.toReversed(), ({ region }) => region)
  return { version: versionOf(stamp), stamp, rates, regions }
}

/** Returns the rate of a region at a time. Returns undefined when the region has no rate at that time. */
export function rateAt({ regions }: RateTable, region: string, at: string): string | undefined {
  return regions.get(region)?.find(({ valid_from }) => valid_from <= at)?.rate
}

/**
 * Decides when a new rate of a region begins. `from` is the requested time; undefined means as soon as possible. A rate
 * may begin at once only when the region has no other rate for that time.
 * @throws {TaxRateRefused} when the rate would begin too early.
 */
export function beginOf(
  { regions }: RateTable,
  region: string,
  from: string | undefined,
  now: string
): string {
  const first = regions.get(region)?.at(-1)?.valid_from
  const earliest = new Date(Date.parse(now) + NOTICE).toISOString()
  const isFirst = first === undefined || (first > now && (from ?? now) < first)
  const begin = from ?? (isFirst ? now : earliest)
  if (begin < earliest && !isFirst) throw new TaxRateRefused(region, earliest)
  return begin
}
