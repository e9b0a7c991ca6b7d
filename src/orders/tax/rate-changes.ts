import type { TaxRate } from '../../../schema/http/tax-rate.ts'
import { isoNow } from '../../async/clock.ts'
import { DuplicateKey } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import { canonicalAmount } from '../money.ts'
import { toDatetime, toIso } from '../tables/row.ts'
import { beginOf, type RateChange, stampOf, toTable } from './rate-table.ts'

/** A rate that an operator requests. `rate` is decimal text; `from` is UTC ISO 8601 with milliseconds. */
export interface WantedRate {
  region: string
  rate: string
  /** The time when the rate begins; undefined for as soon as possible. */
  from: string | undefined
}

/** The request that sets a rate. */
export interface RateOrigin {
  /** The address of the client. */
  client: string
  requestId: string
}

/** The number of attempts at a change while other changes take the same version. */
const ATTEMPTS = 10

/** Reads the stamp of the last change. Returns '' when there is no change. */
export async function readLastStamp(mysql: MysqlStore): Promise<string> {
  const [last] = await mysql.rows<Pick<RateChange, 'version' | 'created_at'>>(
    'SELECT version, created_at FROM tax_rates ORDER BY version DESC LIMIT 1',
    []
  )
  return last ? stampOf({ ...last, created_at: toIso(last.created_at) }) : ''
}

/** Reads all changes, sorted by version. */
export async function readChanges(mysql: Pick<MysqlStore | Transaction, 'rows'>): Promise<RateChange[]> {
  const rows = await mysql.rows<RateChange>(
    'SELECT version, region, rate, valid_from, created_at FROM tax_rates ORDER BY version',
    []
  )
  return rows.map(row => ({
    ...row,
    rate: canonicalAmount(row.rate),
    valid_from: toIso(row.valid_from),
    created_at: toIso(row.created_at)
  }))
}

/**
 * Adds a change, unless the region already has the same rate from the same time. When another change takes the same
 * version, the unique key refuses the insert. The change is then checked again, with the new table.
 * @returns the rate with its period.
 * @throws {TaxRateRefused} when the rate would begin too early.
 */
export async function addChange(mysql: MysqlStore, wanted: WantedRate, origin: RateOrigin): Promise<TaxRate> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await mysql.transaction(transaction => tryChange(transaction, wanted, origin), 'short')
    } catch (error) {
      if (!(error instanceof DuplicateKey) || attempt === ATTEMPTS) throw error
    }
  }
}

async function tryChange(
  transaction: Transaction,
  { region, rate: text, from }: WantedRate,
  { client, requestId }: RateOrigin
): Promise<TaxRate> {
  const changes = await readChanges(transaction)
  const table = toTable(changes)
  const rate = canonicalAmount(text)
  const known = table.regions.get(region)?.find(({ valid_from }) => valid_from === from)
  if (known?.rate === rate) return known
  const created_at = isoNow()
  const valid_from = beginOf(table, region, from, created_at)
  const version = table.version + 1
  const values = [version, region, rate, toDatetime(valid_from), toDatetime(created_at), client, requestId]
  await transaction.run(
    'INSERT INTO tax_rates (version, region, rate, valid_from, created_at, client, request_id) VALUES (?)',
    [values]
  )
  const { rates } = toTable([...changes, { version, region, rate, valid_from, created_at }])
  return rates.find(each => each.region === region && each.valid_from === valid_from) as TaxRate
}
