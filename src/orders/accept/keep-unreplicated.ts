import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Outcome } from '../audit/outcomes.ts'
import { identityOf } from '../identity.ts'
import { haveSameBody, renderDocument, statusOf } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { Appended } from './append.ts'
import type { Candidate } from './candidate.ts'
import type { Result } from './result.ts'
import { spill } from './spill.ts'

/** The stores and the settings that this file needs. */
export interface KeepOptions {
  mysql: MysqlStore
  store: OrderStore
  /** The longest time that a call to a store may take (ms). */
  timeout: number
}

/** The client may send the order again. It then finds out whether the order is safe. */
const unsafe = () => new StoreUnavailable('redis', new Error('too few replicas have the order'))

/**
 * Writes the orders to MySQL that too few replicas have, because a failover would lose them. In the audit, such a row is
 * a spilled order, and the message of the order is its duplicate. The outcome of the message is therefore recorded with
 * the row: when a failover loses the message, the order does not count as lost.
 *
 * An order that was accepted before is safe when it has a row. Otherwise it is an error, because its 200 would be a
 * promise.
 * @returns the results of these orders, by their position in `answers`.
 */
export async function keepUnreplicated(
  answers: Appended[],
  candidates: Candidate[],
  partition: number,
  options: KeepOptions
): Promise<Map<number, Result>> {
  const results = new Map<number, Result>()
  const outcomes = new Map<number, Outcome>()
  const known: number[] = []
  for (const [index, answer] of answers.entries()) {
    if (answer.kind === 'unreplicated')
      outcomes.set(index, { ordinal: answer.ordinal, partition, kind: 'duplicate' })
    if (answer.kind === 'known' && !answer.replicated && statusOf(answer.document) === 'processing')
      known.push(index)
  }
  try {
    if (outcomes.size > 0) await keep(candidates, outcomes, options, results)
    if (known.length > 0) await find(candidates, known, options, results)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    for (const index of [...outcomes.keys(), ...known])
      if (!results.has(index)) results.set(index, { error: unsafe() })
  }
  return results
}

async function keep(
  candidates: Candidate[],
  outcomes: Map<number, Outcome>,
  { mysql, store, timeout }: KeepOptions,
  results: Map<number, Result>
): Promise<void> {
  const own = [...outcomes].map(([index, outcome]) => ({
    index,
    outcome,
    candidate: candidates[index] as Candidate
  }))
  const rows = await spill(
    mysql,
    store,
    own.map(({ candidate }) => candidate),
    timeout,
    own.map(({ outcome }) => outcome)
  )
  for (const [position, { index, candidate }] of own.entries()) {
    const row = rows[position]
    // A worker may have written the row of the message already.
    const safe = !row || haveSameBody(row, candidate.order)
    results.set(index, safe ? { accepted: mysql.durable() ? 'mysql' : 'memory' } : { error: unsafe() })
  }
}

async function find(
  candidates: Candidate[],
  known: number[],
  { store }: KeepOptions,
  results: Map<number, Result>
): Promise<void> {
  const identityAt = (index: number) => identityOf((candidates[index] as Candidate).order)
  const rows = await store.find(known.map(identityAt))
  for (const index of known) {
    const row = rows.get(identityAt(index))
    results.set(index, row ? { document: renderDocument(row) } : { error: unsafe() })
  }
}
