import type { Evidence } from '../../../tools/chaos/checker.ts'
import type { Row } from '../../../tools/chaos/holdings.ts'
import { createLedger, type Ledger } from '../../../tools/chaos/ledger.ts'
import { toUnits } from '../../../tools/chaos/money.ts'

export const iso = '2026-01-31T12:00:00.123Z'

/** The document of a completed order of 100. */
export function documentOf(order_id: string, more: Record<string, unknown> = {}): string {
  const times = { created_at: iso, updated_at: iso, processed_at: iso }
  return JSON.stringify({
    order_id,
    amount: 100,
    tax: 18,
    total: 118,
    status: 'completed',
    ...times,
    ...more
  })
}

/** Adds a posted body and its answer to the ledger. Times are in ms since the start of the run. */
export function post(ledger: Ledger, id: string, status: number, at = 1000, amount = '100') {
  const posting = { id, body: '', amount: undefined, fields: '', api: 0, waits: false }
  const { order, attempt } = ledger.sending(posting, toUnits(amount) ?? 0n, 'api-1')
  Object.assign(attempt, { status, began: at, ended: at + 10 })
  return order
}

/** The row of a completed order of 100. */
export function rowOf(order_id: string): Row {
  const time = '2026-01-31 12:00:00.123'
  const times = { created_at: time, updated_at: time, processed_at: time }
  const fields = { currency: null, customer_id: null, items: null, metadata: null }
  return {
    order_id,
    tenant: 'default',
    amount: '100.0000',
    tax: '18.0000',
    total: '118.0000',
    status: 'completed',
    ...times,
    ...fields
  }
}

/** The evidence of a run with two orders and without a fault. */
export function goodRun(): Evidence & { audit: NonNullable<Evidence['audit']> } {
  const ledger = createLedger()
  const ids = ['one', 'two']
  for (const id of ids) post(ledger, id, 202)
  return {
    ledger,
    holdings: {
      rows: new Map(ids.map(id => [id, [rowOf(id)]])),
      totals: {
        processing: '0',
        completed: '2',
        failed: '0',
        cancelled: '0',
        revenue: '236.0000',
        currency_revenue: '0'
      },
      documents: ids.map(id => ({ id, text: documentOf(id), ttl: 1000 })),
      deadLetters: []
    },
    events: {
      completed: new Map(ids.map(id => [id, [`${id}:completed`]])),
      failed: new Map(),
      cancelled: new Map(),
      faulty: [],
      repeated: () => 0,
      drain: async () => {},
      run: async () => {}
    },
    faults: [],
    partitions: 1,
    stalls: [],
    audit: {
      accepted: 2,
      duplicates: 0,
      completed: 2,
      failed: 0,
      cancelled: 0,
      in_flight: 0,
      retrying: 0,
      conflicts: 0,
      lost: 0,
      dead_letters: 0,
      difference: 0
    }
  }
}
