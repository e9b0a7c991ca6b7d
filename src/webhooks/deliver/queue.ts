import { createMicroBatch } from '../../async/micro-batch.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import type { Attempt } from './send.ts'

/** An endpoint to which this process sends. */
export interface ClaimedEndpoint {
  id: string
  /** Deliveries that failed since the last success. */
  failures: number
  parked: boolean
}

/** A delivery to send, with what its endpoint has now. */
export interface DueDelivery {
  id: string
  message_id: string
  payload: string
  /** Attempts before this one. */
  attempts: number
  /** The time since the first attempt began (ms); 0 before it. */
  age: number
  url: string
  secret: string
  /** The secret before the last rotation; null when it no longer signs. */
  previous_secret: string | null
}

/** What an attempt changes. */
export interface Settlement {
  endpoint: string
  /** The URL of the attempt. */
  url: string
  delivery: string
  attempt: Attempt
  /** The outcome of the delivery. `waiting` has the pause before the next attempt (ms). */
  outcome: { status: 'delivered' | 'failed' } | { status: 'waiting'; pause: number }
  /** The state of the endpoint, if it changes. */
  change?: EndpointStateChange | undefined
}

/** A new state of an endpoint: it works, it has failures and may be parked for `park` ms, or it is gone. */
export type EndpointStateChange =
  | { kind: 'works'; wasParked: boolean }
  | { kind: 'fails'; failures: number; park: number }
  | { kind: 'gone' }

/** The queues of the endpoints in MySQL. Times are those of MySQL. */
export interface Queue {
  /** Returns endpoints that no process has and that something is due for. The one that waits longest is first. */
  candidates: (limit: number) => Promise<string[]>
  /** Takes the lease of an endpoint. Returns undefined when another process has it. */
  claim: (id: string, lease: number) => Promise<ClaimedEndpoint | undefined>
  /** Renews the leases that this process still has on these endpoints. */
  renew: (ids: string[], lease: number) => Promise<void>
  release: (id: string) => Promise<void>
  /**
   * Returns the ids of the next deliveries in order of time; none when this process has lost the endpoint. For a
   * `probe`, returns a delivery that is not due, too.
   */
  next: (endpoint: string, limit: number, probe: boolean) => Promise<string[]>
  /**
   * Reads a delivery that is about to be sent. Returns undefined when it no longer waits, or when its endpoint was
   * disabled or this process has lost it.
   */
  read: (endpoint: string, id: string) => Promise<DueDelivery | undefined>
  /** Records the outcome of an attempt. Concurrent calls share a transaction. */
  settle: (settlement: Settlement) => Promise<void>
}

/** The most outcomes that one transaction records. */
const SETTLED_AT_ONCE = 64

const NOW = 'UTC_TIMESTAMP(3)'
const WAITING = "SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.status = 'waiting'"

const CANDIDATES = `SELECT e.id FROM webhook_endpoints e
  WHERE e.state = 'enabled' AND e.leased_until <= ${NOW} AND (
    (e.parked_until IS NULL AND EXISTS (${WAITING} AND d.due_at <= ${NOW}))
    OR (e.parked_until <= ${NOW} AND EXISTS (${WAITING})))
  ORDER BY e.leased_until LIMIT ?`

const CLAIM = `UPDATE webhook_endpoints SET owner = ?, leased_until = ${NOW} + INTERVAL ? MICROSECOND
  WHERE id = ? AND state = 'enabled' AND leased_until <= ${NOW}`

const OWN = `FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id
  WHERE e.id = ? AND e.owner = ? AND e.state = 'enabled' AND e.leased_until > ${NOW} AND d.status = 'waiting'`

const READ = `SELECT d.id, d.message_id, d.payload, d.attempts, e.url, e.secret,
    IF(e.previous_until > ${NOW}, e.previous_secret, NULL) AS previous_secret,
    COALESCE(TIMESTAMPDIFF(MICROSECOND, d.first_attempt_at, ${NOW}) DIV 1000, 0) AS age
  ${OWN} AND d.id = ?`

/** Creates the access to the queues. `owner` is the name of this process. */
export function createQueue(mysql: MysqlStore, owner: string): Queue {
  const update = (sql: string, values: unknown[]) => mysql.transaction(({ run }) => run(sql, values))
  const record = createMicroBatch<Settlement, undefined>({
    run: settlements => settleAll(mysql, owner, settlements),
    size: SETTLED_AT_ONCE,
    // One after the other, because a later outcome of an endpoint replaces an earlier one.
    inFlight: 1
  })
  return {
    candidates: async limit => (await mysql.rows<{ id: string }>(CANDIDATES, [limit])).map(({ id }) => id),
    claim: (id, lease) =>
      mysql.transaction(async ({ run, rows }) => {
        const { affectedRows } = await run(CLAIM, [owner, lease * 1000, id])
        if (affectedRows === 0) return undefined
        const [row] = await rows<{ failures: number; parked: number }>(
          'SELECT failures, parked_until IS NOT NULL AS parked FROM webhook_endpoints WHERE id = ?',
          [id]
        )
        return row && { id, failures: row.failures, parked: row.parked === 1 }
      }),
    renew: async (ids, lease) => {
      await update(
        `UPDATE webhook_endpoints SET leased_until = ${NOW} + INTERVAL ? MICROSECOND WHERE id IN (?) AND owner = ?`,
        [lease * 1000, ids, owner]
      )
    },
    release: async id => {
      await update(
        `UPDATE webhook_endpoints SET owner = NULL, leased_until = ${NOW} WHERE id = ? AND owner = ?`,
        [id, owner]
      )
    },
    next: async (endpoint, limit, probe) => {
      const due = probe ? '' : `AND d.due_at <= ${NOW}`
      const sql = `SELECT d.id ${OWN} ${due} ORDER BY d.due_at, d.id LIMIT ?`
      return (await mysql.rows<{ id: string }>(sql, [endpoint, owner, limit])).map(({ id }) => id)
    },
    read: async (endpoint, id) => (await mysql.rows<DueDelivery>(READ, [endpoint, owner, id]))[0],
    settle: async settlement => {
      await record(settlement)
      // Everything that waits is due at once, in order of time.
      if (settlement.change?.kind === 'works' && settlement.change.wasParked)
        await update(
          `UPDATE webhook_deliveries SET due_at = occurred_at
           WHERE endpoint_id = ? AND status = 'waiting' AND attempts > 0`,
          [settlement.endpoint]
        )
    }
  }
}

/** Records the outcomes of several attempts in one transaction, in their order. */
async function settleAll(mysql: MysqlStore, owner: string, settlements: Settlement[]): Promise<undefined[]> {
  await mysql.transaction(async transaction => {
    for (const settlement of settlements) {
      await settleDelivery(transaction, settlement)
      if (settlement.change) await changeEndpoint(transaction, owner, settlement)
    }
  })
  return settlements.map(() => undefined)
}

async function settleDelivery({ run }: Transaction, settlement: Settlement): Promise<void> {
  const { delivery, outcome } = settlement
  const { status, duration, error } = settlement.attempt
  const pause = outcome.status === 'waiting' ? outcome.pause : 0
  // A delivery may have been dropped during the attempt. It is delivered after a success, and stays dropped otherwise.
  const open = outcome.status === 'delivered' ? '' : " AND status = 'waiting'"
  const began = `${NOW} - INTERVAL ? MICROSECOND`
  await run(
    `UPDATE webhook_deliveries SET status = ?, due_at = ${NOW} + INTERVAL ? MICROSECOND, attempts = attempts + 1,
       first_attempt_at = COALESCE(first_attempt_at, ${began}), last_attempt_at = ${began},
       response_code = ?, duration_ms = ?, error = ?
     WHERE id = ?${open}`,
    [outcome.status, pause * 1000, duration * 1000, duration * 1000, status, duration, error, delivery]
  )
}

/**
 * Changes the state of an endpoint after an attempt. Does nothing when its tenant has disabled, deleted or moved it in the
 * meantime, or when this process has lost it.
 */
async function changeEndpoint(
  { run }: Transaction,
  owner: string,
  { endpoint, url, change }: Settlement
): Promise<void> {
  if (!change) return
  const set = (sql: string, ...values: unknown[]) =>
    run(`UPDATE webhook_endpoints SET ${sql} WHERE id = ? AND owner = ? AND state = 'enabled' AND url = ?`, [
      ...values,
      endpoint,
      owner,
      url
    ])
  if (change.kind === 'gone') await set("state = 'disabled', disabled_reason = 'gone'")
  if (change.kind === 'works') await set('failures = 0, parked_until = NULL')
  if (change.kind === 'fails') {
    const { failures, park } = change
    await set(
      `failures = ?, parked_until = IF(? = 0, NULL, ${NOW} + INTERVAL ? MICROSECOND)`,
      failures,
      park,
      park * 1000
    )
  }
}
