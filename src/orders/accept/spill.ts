import { ORDER_PLACED_VERSIONS } from '../../../schema/messages/order-placed.ts'
import { Contention, DuplicateKey, StoreUnavailable, UnexplainedStoreError } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { type Outcome, recordOutcomes } from '../audit/outcomes.ts'
import { identityOf } from '../identity.ts'
import type { OrderRecord } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import { DETAIL_COLUMNS, toDatetime, toDetailValues, WAITING } from '../tables/row.ts'
import { addToTotals, takeFreeSlot, transitionOf } from '../tables/totals.ts'
import type { Candidate } from './candidate.ts'
import { checkAge } from './longest-accept.ts'

const COLUMNS = `order_id, amount, status, created_at, updated_at, tax_rate, request_id, traceparent, tenant, ${DETAIL_COLUMNS}`

/** The number of attempts at a spill while other requests insert the same ids. */
const ATTEMPTS = 5

/**
 * Spills orders: inserts them as rows that wait, and counts them in the same transaction. `timeout` is the longest time
 * of a call to a store (ms). `outcomes` are the audit's outcomes of the orders' messages, for orders that Redis has, too.
 * @returns one entry for each order: the existing order with the same id, or undefined when the order is accepted now.
 * @throws {StoreUnavailable} when MySQL is unavailable, another session locks one of the rows for too long, or an order has
 * waited for longer than an accept may take.
 */
export async function spill(
  mysql: MysqlStore,
  store: OrderStore,
  candidates: Candidate[],
  timeout: number,
  outcomes: Outcome[] = []
): Promise<(OrderRecord | undefined)[]> {
  const first = new Map<string, Candidate>()
  const outcomeOf = new Map<Candidate, Outcome>()
  for (const [index, candidate] of candidates.entries()) {
    const id = identityOf(candidate.order)
    if (!first.has(id)) first.set(id, candidate)
    const outcome = outcomes[index]
    if (outcome) outcomeOf.set(candidate, outcome)
  }
  const insertRows = (rows: Candidate[]) => insert(mysql, rows, timeout, outcomeOf)
  const known = await insertUnknown(store, first, insertRows).catch(error => {
    // The order is valid, so the client may send it again.
    throw error instanceof UnexplainedStoreError ? new StoreUnavailable('mysql', error) : error
  })
  return candidates.map(candidate => {
    const id = identityOf(candidate.order)
    return known.get(id) ?? (first.get(id) === candidate ? undefined : first.get(id)?.order)
  })
}

/** Inserts the orders that have no row. Returns the orders that other requests have inserted. */
async function insertUnknown(
  store: OrderStore,
  orders: Map<string, Candidate>,
  insertRows: (rows: Candidate[]) => Promise<void>
): Promise<Map<string, OrderRecord>> {
  const ids = [...orders.keys()].sort()
  let known = new Map<string, OrderRecord>()
  for (let attempt = 1; ; attempt++) {
    try {
      await insertRows(ids.filter(id => !known.has(id)).map(id => orders.get(id) as Candidate))
      return known
    } catch (error) {
      // Another session has locked one of the rows, or inserts the same row. The client may send the order again.
      if (error instanceof Contention) throw new StoreUnavailable('mysql', error)
      if (!(error instanceof DuplicateKey)) throw error
      if (attempt === ATTEMPTS) throw new StoreUnavailable('mysql', error)
      known = await store.find(ids)
    }
  }
}

async function insert(
  mysql: MysqlStore,
  candidates: Candidate[],
  timeout: number,
  outcomeOf: ReadonlyMap<Candidate, Outcome>
): Promise<void> {
  if (candidates.length === 0) return
  const rows = candidates.map(({ order, taxRate, version, origin }) => {
    const at = toDatetime(order.created_at)
    return [
      order.order_id,
      order.amount,
      version === ORDER_PLACED_VERSIONS.plain ? order.status : WAITING,
      at,
      at,
      taxRate,
      origin.requestId,
      origin.traceparent || null,
      order.tenant,
      ...toDetailValues(order.details)
    ]
  })
  await mysql.transaction(async transaction => {
    await transaction.run(`INSERT INTO orders (${COLUMNS}) VALUES ?`, [rows])
    await recordOutcomes(
      transaction,
      candidates.flatMap(candidate => outcomeOf.get(candidate) ?? [])
    )
    await addToTotals(
      transaction,
      candidates.map(({ order }) => transitionOf(null, order)),
      { accepted: candidates.length, slot: await takeFreeSlot(transaction) }
    )
    checkAge(candidates, timeout)
  }, 'short')
}
