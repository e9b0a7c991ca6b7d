import type { Redis } from 'ioredis'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { EVENTS } from '../names.ts'

const script = loadScript(new URL('unsettled.lua', import.meta.url))

/** Health warns when a group has more unsettled events. They stay in Redis until the group settles them. */
export const MANY_UNSETTLED = 100_000

/** Reads how many events of one partition each group has not settled. */
export async function readUnsettledIn(
  client: Redis,
  keys: Keys,
  partition: number
): Promise<Map<string, number>> {
  return new Map((await script(client, [keys.stream(EVENTS, partition)], [])) as [string, number][])
}

/**
 * Reads how many events each group has not settled, over all partitions. The cost does not depend on the number of
 * events. The result is an upper bound for a group without a lag in Redis (see unsettled.lua).
 */
export async function readUnsettled(redis: RedisStore, keys: Keys): Promise<Map<string, number>> {
  const total = new Map<string, number>()
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) =>
      redis.masterOf(partition).run(client => readUnsettledIn(client, keys, partition))
    )
  )
  for (const [group, entries] of partitions.flatMap(own => [...own]))
    total.set(group, (total.get(group) ?? 0) + entries)
  return total
}
