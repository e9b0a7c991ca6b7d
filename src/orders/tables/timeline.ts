import type { Failure } from '../../../schema/http/order.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'
import type { IdentityParts } from '../identity.ts'
import { toDatetime, toIso } from './row.ts'

/** One entry in the timeline of an order: a change that the row of the order does not show. */
export interface TimelineEntry extends IdentityParts {
  /** ISO 8601 in UTC. */
  time: string
  type: 'retried' | 'failed' | 'redriven' | 'cancelled'
  /** The request that caused the change; null when it is unknown. */
  requestId: string | null
  /** The number of the attempt that failed, for `retried`. */
  attempt?: number
  /** The reason, for `failed`. */
  failure?: Failure | null
}

/** Adds entries to the timelines of orders. Does not add an entry that has the same time and type as an existing one. */
export async function addToTimeline({ run }: Transaction, entries: TimelineEntry[]): Promise<void> {
  if (entries.length === 0) return
  await run(
    `INSERT INTO order_timeline (order_id, tenant, time, type, request_id, attempt, code, detail) VALUES ?
     ON DUPLICATE KEY UPDATE type = VALUES(type)`,
    [
      entries.map(({ order_id, tenant, time, type, requestId, attempt, failure }) => [
        order_id,
        tenant,
        toDatetime(time),
        type,
        requestId || null,
        attempt ?? null,
        failure?.code ?? null,
        failure?.detail ?? null
      ])
    ]
  )
}

interface TimelineRow {
  time: string
  type: TimelineEntry['type']
  request_id: string | null
  attempt: number | null
  code: string | null
  detail: string | null
}

/**
 * Reads the entries of an order, the oldest first.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readTimeline(
  mysql: MysqlStore,
  { order_id, tenant }: IdentityParts
): Promise<TimelineEntry[]> {
  const rows = await mysql.rows<TimelineRow>(
    'SELECT time, type, request_id, attempt, code, detail FROM order_timeline WHERE order_id = ? AND tenant = ? ORDER BY time, type',
    [order_id, tenant]
  )
  return rows.map(({ time, type, request_id, attempt, code, detail }) => ({
    order_id,
    tenant,
    time: toIso(time),
    type,
    requestId: request_id,
    ...(attempt !== null && { attempt }),
    ...(code !== null && { failure: { code, detail: detail ?? '' } })
  }))
}
