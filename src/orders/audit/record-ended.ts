import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'

const allEnded = loadScript(new URL('all-ended.lua', import.meta.url))

/** Most retries that one look reads. */
const MOST_RETRIES = 100

/** Most rows that one statement deletes: many may have come together while an old order waited. */
const DELETE_SIZE = 10_000

/**
 * Makes what notes in MySQL, for each partition, up to which number all accepted orders have ended. What was noted of the
 * single rows below that is deleted: of what ends, little has to be kept. It returns whether there is more to delete.
 */
export function createEndedNotes({
  redis,
  mysql,
  keys
}: {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
}): () => Promise<boolean> {
  const noted = new Map<number, string>()

  const note = async (partition: number) => {
    const used = [
      keys.accepted(partition),
      keys.stream(PLACED, partition),
      keys.retry(ORDER_FUNCTION, partition),
      keys.retrying(ORDER_FUNCTION, partition)
    ]
    const found = await redis.run(client => allEnded(client, used, [MOST_RETRIES]))
    if (!found) return false
    const [epoch, number] = found as [string, number]
    if (noted.get(partition) === `${epoch}:${number}`) return false
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
    noted.set(partition, `${epoch}:${number}`)
    return false
  }

  return async () => {
    let more = false
    for (let partition = 0; partition < keys.partitions; partition++) more = (await note(partition)) || more
    return more
  }
}
