import type { MysqlStore } from '../stores/mysql/store.ts'

/** The most rows of one statement. */
const SIZE = 1000

/** Returns how many more deliveries may wait for an endpoint, so that at most `cap` wait. Negative when more wait. */
export async function roomLeft(mysql: MysqlStore, endpoint: string, cap: number): Promise<number> {
  const [count] = await mysql.rows<{ waiting: number }>(
    "SELECT COUNT(*) AS waiting FROM webhook_deliveries WHERE endpoint_id = ? AND status = 'waiting'",
    [endpoint]
  )
  return cap - (count?.waiting ?? 0)
}

/**
 * Marks the oldest waiting deliveries of an endpoint as dropped, so that at most `cap` wait. They stay in the log and
 * can be redelivered. Returns how many it dropped.
 */
export async function dropOldest(mysql: MysqlStore, endpoint: string, cap: number): Promise<number> {
  const excess = -(await roomLeft(mysql, endpoint, cap))
  let dropped = 0
  while (dropped < excess) {
    const found = await mysql.transaction(async ({ rows, run }) => {
      const oldest = await rows<{ id: string }>(
        `SELECT id FROM webhook_deliveries WHERE endpoint_id = ? AND status = 'waiting'
         ORDER BY occurred_at, id LIMIT ?`,
        [endpoint, Math.min(SIZE, excess - dropped)]
      )
      if (oldest.length === 0) return 0
      const { affectedRows } = await run(
        `UPDATE webhook_deliveries SET status = 'dropped', due_at = UTC_TIMESTAMP(3)
         WHERE id IN (?) AND status = 'waiting'`,
        [oldest.map(({ id }) => id)]
      )
      return affectedRows
    })
    if (found === 0) break
    dropped += found
  }
  return dropped
}
