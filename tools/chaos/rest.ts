import { setTimeout as delay } from 'node:timers/promises'
import type { RowDataPacket } from 'mysql2/promise'
import { type Audit, fetchAudit } from './audit.ts'
import type { Client } from './client.ts'
import type { EventLog } from './events.ts'
import { inPartitions, type StoreAccess, withMysql } from './stores.ts'

/** The result of the wait for the end of all work. */
export interface Rest {
  reached: boolean
  seconds: number
  /** The work that is left at the last check. */
  left: { placed: number; retrying: number; processing: number; eventsMissing: number }
  audit: Audit | undefined
}

/** The sources that show whether work is left. */
export interface RestOptions {
  access: StoreAccess
  clients: Client[]
  adminToken: string
  events: EventLog
  signal: AbortSignal
}

const LONGEST = 120_000
const BETWEEN_CHECKS = 1000

/** The number of checks in a row that must show the same state without work. */
const SAME_CHECKS = 3

/** The longest time for which events may be missing while no other work is left (ms). */
const LONGEST_FOR_EVENTS = 20_000

/**
 * Waits until no work is left: the stream is empty, no message waits for a retry, no order is unfinished, each
 * completed order has an event, and the audit balances and does not change. Stops waiting after two minutes.
 */
export async function untilAtRest({
  access,
  clients,
  adminToken,
  events,
  signal
}: RestOptions): Promise<Rest> {
  const start = performance.now()
  let same = 0
  let before = ''
  let quietSince = Number.POSITIVE_INFINITY
  let left: Rest['left'] = { placed: -1, retrying: -1, processing: -1, eventsMissing: -1 }
  for (;;) {
    const [state, audit] = await Promise.all([
      look(access, events).catch(() => undefined),
      fetchAudit(clients, adminToken)
    ])
    left = state ?? left
    const passed = performance.now() - start
    const quiet =
      state?.placed === 0 && state.retrying === 0 && state.processing === 0 && (audit?.difference ?? 0) === 0
    quietSince = quiet ? Math.min(quietSince, passed) : Number.POSITIVE_INFINITY
    const eventsDone = left.eventsMissing <= 0 || passed - quietSince > LONGEST_FOR_EVENTS
    const now = JSON.stringify([state, audit])
    same = quiet && eventsDone ? (now === before ? same + 1 : 1) : 0
    before = now
    const reached = same >= SAME_CHECKS
    if (reached || passed > LONGEST) return { reached, seconds: passed / 1000, left, audit }
    await delay(BETWEEN_CHECKS, undefined, { signal })
  }
}

async function look(access: StoreAccess, events: EventLog): Promise<Rest['left']> {
  await events.drain()
  const counts = await inPartitions(access, async (client, keyOf) => ({
    placed: await client.xlen(keyOf('placed')),
    retrying: await client.zcard(keyOf('retry:process-orders'))
  }))
  const sum = (name: 'placed' | 'retrying') => counts.reduce((sum, count) => sum + count[name], 0)
  const rows = await withMysql(access, async connection => {
    const [rows] = await connection.query<({ status: string; n: string } & RowDataPacket)[]>(
      'SELECT status, COUNT(*) AS n FROM orders GROUP BY status'
    )
    return new Map(rows.map(({ status, n }) => [status, Number(n)]))
  })
  return {
    placed: sum('placed'),
    retrying: sum('retrying'),
    processing: (rows.get('processing') ?? 0) + (rows.get('waiting') ?? 0),
    eventsMissing:
      (rows.get('completed') ?? 0) +
      (rows.get('cancelled') ?? 0) -
      events.completed.size -
      events.cancelled.size
  }
}
