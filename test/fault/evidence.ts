import type { RowDataPacket } from 'mysql2/promise'
import { expect } from 'vitest'
import type { Audit } from '../../schema/http/audit.ts'
import type { Service } from '../harness/service.ts'
import { connectTo, type Space, until } from '../harness/space.ts'

/** The token of every api that these tests start. */
export const ADMIN_TOKEN = 'a-token-for-tests-only'

/** The total of an order of `AMOUNT`. */
const AMOUNT_WITH_TAX = 14.75

/** Runs a query on a new connection, because a restart of the server breaks the open connections. */
export async function queryRows<T>(space: Space, query: string, values: unknown[] = []): Promise<T[]> {
  const connection = await connectTo(space)
  try {
    return (await connection.query<(T & RowDataPacket)[]>(query, values))[0]
  } finally {
    connection.destroy()
  }
}

/** The ids of the orders that are completed in MySQL, sorted. */
export async function completedIds(space: Space): Promise<string[]> {
  const rows = await queryRows<{ order_id: string }>(
    space,
    "SELECT order_id FROM orders WHERE status = 'completed'"
  )
  return rows.map(({ order_id }) => order_id).sort()
}

/** The Redis key of that name in partition 0, the only partition of these tests. */
export function keyOf(space: Space, name: string): string {
  return `{${space.env.KEY_PREFIX}:0}:${name}`
}

/** Creates a group so that every event is kept. Without a group, Redis keeps only the newest 10,000 events. */
export async function keepEvents(space: Space): Promise<void> {
  await space.redis.xgroup('CREATE', keyOf(space, 'events'), 'test', '0', 'MKSTREAM')
}

/** The ids of all published events, in order. */
export async function eventIds(space: Space): Promise<string[]> {
  const entries = await space.redis.xrange(keyOf(space, 'events'), '-', '+')
  return entries.map(
    ([, fields]) => (JSON.parse(fields[fields.indexOf('data') + 1] ?? '') as { id: string }).id
  )
}

/** Reads the audit of an api. Throws unless it answers 200. */
export async function readAudit({ url }: Pick<Service, 'url'>): Promise<Audit> {
  const response = await fetch(`${url}/admin/audit`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })
  if (response.status !== 200)
    throw new Error(`the audit answers ${response.status}: ${await response.text()}`)
  return (await response.json()) as Audit
}

/** Waits until no order is in flight. Returns the audit, which must have no difference and no loss of data. */
export async function untilAtRest(api: Service, timeout = 60_000): Promise<Audit> {
  const audit = await until(
    'no order is in flight',
    async () => {
      const now = await readAudit(api).catch(() => undefined)
      return now?.in_flight === 0 && now.retrying === 0 && now
    },
    timeout
  )
  expect(audit).toMatchObject({ difference: 0, redis_lost_data: false })
  return audit
}

/**
 * Waits until no order is in flight, and the audit counts as lost exactly the accepted orders that have no completed row.
 * Returns the lost orders. The audit must have no difference.
 */
export async function lostOf(api: Service, space: Space, accepted: string[]): Promise<string[]> {
  const { audit, lost } = await until('every accepted order is completed or counted as lost', async () => {
    const now = await readAudit(api).catch(() => undefined)
    if (now?.in_flight !== 0 || now.retrying !== 0) return undefined
    const completed = new Set(await completedIds(space))
    const missing = accepted.filter(id => !completed.has(id))
    return missing.length === now.lost && { audit: now, lost: missing }
  })
  expect(audit.difference).toBe(0)
  return lost
}

/**
 * Expects that every accepted order is completed, that the totals match the rows, and that all events of a completed
 * order have one id. An order without an answer may also be completed, because its answer can be lost after the
 * commit. Returns the ids of the completed orders.
 */
export async function expectCompleted(
  space: Space,
  accepted: string[],
  sent: string[] = accepted
): Promise<string[]> {
  const completed = await completedIds(space)
  const found = new Set(completed)
  expect([...new Set(accepted).difference(found)]).toEqual([])
  expect([...found.difference(new Set(sent))]).toEqual([])
  expect(await queryRows(space, 'SELECT CAST(COUNT(*) AS SIGNED) AS n FROM orders')).toEqual([
    { n: completed.length }
  ])
  expect(
    await queryRows(
      space,
      'SELECT CAST(SUM(completed) AS SIGNED) AS completed, CAST(SUM(processing) AS SIGNED) AS processing, CAST(SUM(failed) AS SIGNED) AS failed, CAST(SUM(revenue) AS CHAR) AS revenue FROM order_totals'
    )
  ).toEqual([
    {
      completed: completed.length,
      processing: 0,
      failed: 0,
      revenue: (completed.length * AMOUNT_WITH_TAX).toFixed(4)
    }
  ])
  const published = await until('each order is published', async () => {
    const distinct = new Set(await eventIds(space))
    return distinct.size >= completed.length && distinct
  })
  expect([...published].sort()).toEqual(completed.map(id => `${id}:completed`).sort())
  return completed
}
