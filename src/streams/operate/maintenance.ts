import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Consumer } from '../consume/consumer.ts'
import type { Keys } from '../keys.ts'
import { LOGS } from '../names.ts'

const trimLog = loadScript(new URL('trim-log.lua', import.meta.url))

/** Entries of a log that are kept while no group reads it. */
const KEEP_UNREAD = 10_000

/**
 * What a worker does now and then: trims logs past what every group has acknowledged, which is what frees memory and so
 * comes first, and forgets consumers that were killed.
 * @returns false: there is never more to do at once.
 */
export async function keepHouse(
  redis: RedisStore,
  keys: Keys,
  consumers: readonly Pick<Consumer, 'member'>[]
): Promise<false> {
  for (let partition = 0; partition < keys.partitions; partition++) {
    for (const log of LOGS) {
      await redis.run(client => trimLog(client, [keys.stream(log, partition)], [KEEP_UNREAD]))
    }
  }
  for (const consumer of consumers) await consumer.member.forgetIdle()
  return false
}
