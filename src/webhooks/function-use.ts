import type { MysqlStore } from '../stores/mysql/store.ts'
import type { Starts } from '../streams/group/starts.ts'
import { EVENTS } from '../streams/names.ts'

/** The stream function that adds events to the queues of endpoints, and its group on `events`. */
export const WEBHOOK_FUNCTION = 'deliver-webhooks'

/**
 * Returns a function that creates the group of the stream function in all partitions. From then on, Redis keeps every
 * event until the function has added it to the queues of endpoints. Until there is an endpoint, the group does not exist
 * and costs nothing.
 */
export function createKeepEvents(starts: Pick<Starts, 'begin'>, partitions: number): () => Promise<void> {
  const definition = { stream: EVENTS, group: WEBHOOK_FUNCTION, start: 'new' as const }
  return async () => {
    await Promise.all(
      Array.from({ length: partitions }, (_, partition) => starts.begin(definition, partition))
    )
  }
}

/** Returns whether workers must run the stream function: its group was created, or there is an endpoint. */
export async function isFunctionUsed(mysql: MysqlStore): Promise<boolean> {
  const found = await mysql.rows(
    `SELECT 1 FROM function_starts WHERE stream = ? AND group_name = ?
     UNION ALL SELECT 1 FROM (SELECT id FROM webhook_endpoints LIMIT 1) any_endpoint LIMIT 1`,
    [EVENTS, WEBHOOK_FUNCTION]
  )
  return found.length > 0
}
