import type { AdminAction } from '../../schema/http/admin-action.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import type { RedisStore } from '../stores/redis/store.ts'
import { COMMON } from '../streams/common.ts'
import type { Keys } from '../streams/keys.ts'

/** The most entries that one run moves from Redis to MySQL. */
const MOVE = 100

/** A page of actions, the newest first. `next` is 0 on the last page. */
export interface ActionPage {
  actions: AdminAction[]
  next: number
}

/** The log of what operators change. */
export interface ActionLog {
  /**
   * Records an action, or the status of a recorded action. While MySQL is unavailable, Redis stores the record.
   * @throws {StoreUnavailable} when both stores are unavailable.
   */
  record: (action: AdminAction) => Promise<void>
  /** Moves records from Redis to MySQL. Resolves to true when there may be more. */
  moveQueued: () => Promise<boolean>
  /** Reads actions that were recorded before the one with the number `before`; 0 for the newest. */
  list: (before: number, limit: number) => Promise<ActionPage>
}

type Row = Omit<AdminAction, 'details'> & { seq: number; details: string }

/** Creates the log of actions: a table in MySQL, and a queue in Redis. */
export function createActionLog(mysql: MysqlStore, redis: RedisStore, keys: Keys): ActionLog {
  const queue = keys.adminActions()
  const insert = (action: AdminAction) =>
    mysql.transaction(async ({ run }) => {
      const { id, time, actor, client, request_id, action: name, details, reason, status } = action
      await run(
        `INSERT INTO admin_actions (id, time, actor, client, request_id, action, details, reason, status) VALUES (?)
         ON DUPLICATE KEY UPDATE status = COALESCE(VALUES(status), status)`,
        [[id, time.slice(0, -1), actor, client, request_id, name, JSON.stringify(details), reason, status]]
      )
    }, 'short')
  return {
    record: async action => {
      try {
        await insert(action)
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error
        await redis.masterOf(COMMON).run(client => client.rpush(queue, JSON.stringify(action)))
      }
    },
    moveQueued: async () => {
      const texts = await redis.masterOf(COMMON).run(client => client.lrange(queue, 0, MOVE - 1))
      for (const text of texts) {
        // Several processes may move the same entry. The second insert changes nothing, because the id is the same.
        await insert(JSON.parse(text) as AdminAction)
        await redis.masterOf(COMMON).run(client => client.lrem(queue, 1, text))
      }
      return texts.length === MOVE
    },
    list: async (before, limit) => {
      const rows = await mysql.rows<Row>(
        `SELECT seq, id, time, actor, client, request_id, action, details, reason, status FROM admin_actions
         WHERE seq < ? ORDER BY seq DESC LIMIT ?`,
        [before === 0 ? Number.MAX_SAFE_INTEGER : before, limit]
      )
      return {
        actions: rows.map(({ seq: _, time, details, ...action }) => ({
          ...action,
          time: `${time.replace(' ', 'T')}Z`,
          details: JSON.parse(details) as Record<string, unknown>
        })),
        next: rows.length < limit ? 0 : (rows.at(-1)?.seq ?? 0)
      }
    }
  }
}
