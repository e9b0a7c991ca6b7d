import type { TaxRate } from '../../../schema/http/tax-rate.ts'

/**
 * One change of the rates: a row of `tax_rates`. Times are UTC ISO 8601 with milliseconds, the rate is decimal text.
 */
export interface RateChange extends Omit<TaxRate, 'valid_to'> {
  version: number
}

/** The rates after a change. */
export interface RateTable {
  /** Number of the last change; 0 when there is none. */
  version: number
  /** Names the last change, also after a restored backup; '' when there is none. */
  stamp: string
  /** By region and time. */
  rates: TaxRate[]
  /** The rates of each region, the last one first. */
  regions: Map<string, TaxRate[]>
}

/** The notice of a new rate (ms): it is set this long before it begins, so that every process knows it in time. */
export const NOTICE = 60_000

/** The rate cannot begin at that time: orders at another rate may be accepted then. */
export class TaxRateRefused extends Error {
  override name = 'TaxRateRefused'

  constructor(region: string, earliest: string) {
    super(
      `${region} has a rate already. Another one can begin at ${earliest} at the earliest, so that every process knows it in time.`
    )
  }
}

/** Names a change. */
export function stampOf({ version, created_at }: Pick<RateChange, 'version' | 'created_at'>): string {
  return `${version}@${created_at}`
}

/** The number of the change that a stamp names; 0 for ''. */
export function versionOf(stamp: string): number {
  return Number(stamp.split('@', 1)[0])
}

/** Derives the rates from all changes, which are in the order of their numbers. */
export function toTable(changes: RateChange[]): RateTable {
  const last = changes.at(-1)
  // Of two changes with the same begin, the later one counts.
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

/** Makes a table of rates that are in the order of region and time. */
export function indexed(stamp: string, rates: TaxRate[]): RateTable {
  const regions = Map.groupBy(rates.toReversed(), ({ region }) => region)
  return { version: versionOf(stamp), stamp, rates, regions }
}

/** Returns the rate of a region at a time; undefined when it has none then. */
export function rateAt({ regions }: RateTable, region: string, at: string): string | undefined {
  return regions.get(region)?.find(({ valid_from }) => valid_from <= at)?.rate
}

/**
 * Decides when a new rate of a region begins; `from` is undefined for as soon as possible. A rate may begin at once
 * where no process can know another one for that time.
 * @throws {TaxRateRefused} when it would begin too early.
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
