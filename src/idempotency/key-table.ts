import type { MysqlStore } from '../stores/mysql/store.ts'
import type { Transaction } from '../stores/mysql/transaction.ts'

/** How long a request in progress keeps its key without a renewal (s). A process that was killed renews nothing. */
export const LEASE = 60

/** How long the answer of a request is kept (s). */
const KEEP = 86_400

/** The most rows that one statement deletes. */
const MOST = 500

/** The answer to a request, as it is stored. */
export interface StoredAnswer {
  status: number
  /** By lower-case names. */
  headers: Record<string, string>
  body: string
}

/** What the table has for a key after a claim: the attempt that owns it, or the answer to the request. */
export interface Claimed {
  /** The request that the key belongs to. */
  fingerprint: string
  /** The attempt that may run. It is the caller's own attempt if the claim succeeded. */
  attempt: string
  answer: StoredAnswer | undefined
}

/** The attempt of a request that owns a key. */
export interface Owner {
  id: string
  attempt: string
}

/** The keys in MySQL. Times are those of its clock. Each call throws {StoreUnavailable} while MySQL is unavailable. */
export interface IdempotencyTable {
  /**
   * Claims a key for an attempt, unless a request with the key has an answer or is in progress. Of several concurrent
   * claims one succeeds.
   */
  claim: (owner: Owner, fingerprint: string) => Promise<Claimed>
  /** Extends the leases of attempts. */
  renew: (owners: Owner[]) => Promise<void>
  /** Stores the answer of an attempt, if it still owns its key. */
  store: (owner: Owner, answer: StoredAnswer) => Promise<void>
  /** Deletes a key, if the attempt still owns it. */
  release: (owner: Owner) => Promise<void>
  /** Deletes some keys that have expired. Resolves to true when there may be more. */
  deleteExpired: () => Promise<boolean>
}

interface Row {
  fingerprint: string
  attempt: string
  status: number | null
  headers: string
  body: string
  lapsed: 0 | 1
  expired: 0 | 1
}

const NOW = 'UTC_TIMESTAMP(3)'

/** Creates the access to the keys in MySQL. */
export function createIdempotencyTable(mysql: MysqlStore): IdempotencyTable {
  return {
    claim: (owner, fingerprint) =>
      mysql.transaction(transaction => claim(transaction, owner, fingerprint), 'short'),
    renew: owners =>
      mysql.transaction(async ({ run }) => {
        await run(
          `UPDATE idempotency_keys SET lease_until = ${NOW} + INTERVAL ? SECOND
           WHERE id IN (?) AND attempt IN (?) AND status IS NULL`,
          [LEASE, owners.map(({ id }) => id), owners.map(({ attempt }) => attempt)]
        )
      }),
    store: ({ id, attempt }, { status, headers, body }) =>
      mysql.transaction(async ({ run }) => {
        await run(
          `UPDATE idempotency_keys SET status = ?, headers = ?, body = ?, expires_at = ${NOW} + INTERVAL ? SECOND
           WHERE id = ? AND attempt = ?`,
          [status, JSON.stringify(headers), body, KEEP, id, attempt]
        )
      }, 'short'),
    release: ({ id, attempt }) =>
      mysql.transaction(async ({ run }) => {
        await run('DELETE FROM idempotency_keys WHERE id = ? AND attempt = ?', [id, attempt])
      }, 'short'),
    deleteExpired: async () => {
      const rows = await mysql.rows<{ id: string }>(
        `SELECT id FROM idempotency_keys WHERE expires_at < ${NOW} ORDER BY expires_at LIMIT ?`,
        [MOST]
      )
      if (rows.length === 0) return false
      await mysql.transaction(({ run }) =>
        run(`DELETE FROM idempotency_keys WHERE id IN (?) AND expires_at < ${NOW}`, [
          rows.map(({ id }) => id)
        ])
      )
      return rows.length === MOST
    }
  }
}

async function claim(
  { run, rows }: Transaction,
  { id, attempt }: Owner,
  fingerprint: string
): Promise<Claimed> {
  // The update changes nothing, and locks a row that exists. A plain INSERT that fails would leave a shared lock, and
  // two of them would be a deadlock.
  await run(
    `INSERT INTO idempotency_keys (id, fingerprint, attempt, created_at, lease_until, expires_at)
     VALUES (?, ?, ?, ${NOW}, ${NOW} + INTERVAL ? SECOND, ${NOW} + INTERVAL ? SECOND)
     ON DUPLICATE KEY UPDATE id = id`,
    [id, fingerprint, attempt, LEASE, KEEP]
  )
  const [row] = await rows<Row>(
    `SELECT fingerprint, attempt, status, headers, body, lease_until <= ${NOW} AS lapsed, expires_at <= ${NOW} AS expired
     FROM idempotency_keys WHERE id = ?`,
    [id]
  )
  if (!row) throw new Error('The row of an Idempotency-Key was deleted under its lock.')
  const abandoned = row.status === null && row.lapsed === 1 && row.fingerprint === fingerprint
  if (row.expired === 1 || abandoned) {
    await run(
      `UPDATE idempotency_keys SET fingerprint = ?, attempt = ?, status = NULL, headers = NULL, body = NULL,
         created_at = ${NOW}, lease_until = ${NOW} + INTERVAL ? SECOND, expires_at = ${NOW} + INTERVAL ? SECOND
       WHERE id = ?`,
      [fingerprint, attempt, LEASE, KEEP, id]
    )
    return { fingerprint, attempt, answer: undefined }
  }
  const { status, headers, body } = row
  const answer = status === null ? undefined : { status, headers: JSON.parse(headers), body }
  return { fingerprint: row.fingerprint, attempt: row.attempt, answer }
}
