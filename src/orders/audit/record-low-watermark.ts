import { inTurn } from '../../async/in-turn.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'

const lowWatermarkScript = loadScript(new URL('low-watermark.lua', import.meta.url))

/** The most retries that one run reads in a partition. */
const RETRIES = 100

/** The most rows that one statement deletes. One old order that waits can delay the deletion of many rows. */
const DELETE_SIZE = 10_000

/** The dependencies of the recorder. */
export interface LowWatermarkOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
}

/**
 * Creates the task that records each partition's low watermark: the number up to which all accepted orders are settled.
 * The task then deletes the outcomes of kind `row` up to that number, so that the table stays small. A run returns true
 * when there may be more to delete. A run throws {StoreUnavailable} when a store is unavailable for a partition, after the
 * work in the others.
 */
export function createLowWatermarkRecorder({
  redis,
  mysql,
  keys
}: LowWatermarkOptions): () => Promise<boolean> {
  const recorded = new Map<number, string>()

  const record = async (partition: number) => {
    const used = [
      keys.accepted(partition),
      keys.stream(PLACED, partition),
      keys.retry(ORDER_FUNCTION, partition),
      keys.retrying(ORDER_FUNCTION, partition)
    ]
    const found = await redis.masterOf(partition).run(client => lowWatermarkScript(client, used, [RETRIES]))
    if (!found) return false
    const [epoch, number] = found as [string, number]
    if (recorded.get(partition) === `${epoch}:${number}`) return false
    const deleted = await mysql.transaction(async ({ run }) => {
      await run(
        `INSERT INTO accepted_epochs (epoch, partition_no, ended_to) VALUES (?)
         ON DUPLICATE KEY UPDATE ended_to = GREATEST(ended_to, VALUES(ended_to))`,
        [[epoch, partition, number]]
      )
      const { affectedRows } = await run(
        `DELETE FROM accepted_ended WHERE epoch = ? AND partition_no = ? AND kind = 'row' AND last_no <= ?
         ORDER BY last_no LIMIT ${DELETE_SIZE}`,
        [epoch, partition, number]
      )
      return affectedRows
    })
    if (deleted === DELETE_SIZE) return true
    recorded.set(partition, `${epoch}:${number}`)
    return false
  }

  return async () => {
    const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
    return (await inTurn(partitions, record)).includes(true)
  }
}
