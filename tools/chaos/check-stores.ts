import { fieldsOf } from './fields.ts'
import type { Holdings } from './holdings.ts'
import type { Ledger } from './ledger.ts'
import { toText, toUnits } from './money.ts'
import { orderIdOf } from './tenants.ts'

/** The contents of both stores, and the ledger that records the violations. */
interface Stores {
  ledger: Ledger
  holdings: Holdings
}

/** Checks that the totals are the sums of the rows. */
export function checkTotals({ ledger, holdings: { rows, totals } }: Stores): void {
  const counted = {
    processing: 0n,
    completed: 0n,
    failed: 0n,
    cancelled: 0n,
    revenue: 0n,
    currency_revenue: 0n
  }
  for (const row of [...rows.values()].flat()) {
    if (row.status in counted) counted[row.status as 'completed']++
    if (row.status === 'completed')
      counted[row.currency === null ? 'revenue' : 'currency_revenue'] += toUnits(row.total) ?? 0n
  }
  for (const name of ['processing', 'completed', 'failed', 'cancelled'] as const) {
    if (BigInt(totals[name]) !== counted[name])
      ledger.violate('doubled', 'wrong totals', '', `${name}: ${totals[name]}, rows: ${counted[name]}`)
  }
  for (const name of ['revenue', 'currency_revenue'] as const) {
    if (toUnits(totals[name]) !== counted[name])
      ledger.violate(
        'doubled',
        'wrong totals',
        '',
        `${name}: ${totals[name]}, rows: ${toText(counted[name])}`
      )
  }
}

/** Checks that each document equals the row of its order. */
export function checkDocuments({ ledger, holdings }: Stores): void {
  for (const { id, text, ttl } of holdings.documents) {
    const [row] = holdings.rows.get(id) ?? []
    const wrong = (what: string) => ledger.violate('wrong', what, id, `${text} | ${JSON.stringify(row)}`)
    let document: Record<string, unknown>
    try {
      document = JSON.parse(text)
    } catch {
      wrong('a document that is not JSON')
      continue
    }
    if (!row) wrong('a document without a row')
    else if (
      document.order_id !== orderIdOf(id) ||
      document.status !== row.status ||
      fieldsOf(document) !== fieldsOf({ ...row }) ||
      (['amount', 'tax', 'total'] as const).some(name => toUnits(document[name]) !== toUnits(row[name])) ||
      (['created_at', 'updated_at', 'processed_at'] as const).some(
        name => document[name] !== (row[name] && `${row[name].replace(' ', 'T')}Z`)
      )
    )
      wrong('a document that differs from its row')
    else if (ttl < 0) wrong('a finished document without a TTL')
  }
}
