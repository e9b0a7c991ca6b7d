import type { MysqlStore } from '../stores/mysql/store.ts'

/** How long the log keeps a delivery after its end (days). */
export const KEEP_DAYS = 7

/** The endpoints of one run, and the deliveries of an endpoint that it removes. */
const ENDPOINTS = 50
const SIZE = 1000

/**
 * How long the row of a deleted endpoint stays at least (s). A worker that read the row before may still add
 * deliveries to it.
 */
const DELETED_STAYS = 60

/**
 * Creates the task that removes old deliveries from the log, and everything of deleted endpoints. A waiting delivery
 * stays, however old it is. A run removes at most 1,000 deliveries of each of 50 endpoints, and resolves to true when
 * there may be more.
 */
export function createLogPurge(mysql: MysqlStore): () => Promise<boolean> {
  let after = ''
  return async () => {
    const endpoints = await mysql.rows<{ id: string; state: string }>(
      'SELECT id, state FROM webhook_endpoints WHERE id > ? ORDER BY id LIMIT ?',
      [after, ENDPOINTS]
    )
    let full = false
    for (const { id, state } of endpoints) {
      const removed = state === 'deleted' ? await removeDeleted(mysql, id) : await removeOld(mysql, id)
      full ||= removed === SIZE
    }
    if (full) return true
    after = endpoints.length < ENDPOINTS ? '' : (endpoints.at(-1)?.id ?? '')
    return after !== ''
  }
}

async function removeOld(mysql: MysqlStore, endpoint: string): Promise<number> {
  const { affectedRows } = await mysql.transaction(({ run }) =>
    run(
      `DELETE FROM webhook_deliveries WHERE endpoint_id = ? AND status IN ('delivered', 'failed', 'dropped')
       AND due_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY LIMIT ?`,
      [endpoint, KEEP_DAYS, SIZE]
    )
  )
  return affectedRows
}

async function removeDeleted(mysql: MysqlStore, endpoint: string): Promise<number> {
  return mysql.transaction(async ({ run }) => {
    const sql = 'DELETE FROM webhook_deliveries WHERE endpoint_id = ? LIMIT ?'
    const { affectedRows } = await run(sql, [endpoint, SIZE])
    if (affectedRows < SIZE)
      await run(
        `DELETE FROM webhook_endpoints WHERE id = ? AND state = 'deleted'
         AND updated_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND`,
        [endpoint, DELETED_STAYS]
      )
    return affectedRows
  })
}
