import { inTurn } from '../../async/in-turn.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { GroupMember } from '../group/member.ts'
import type { Keys } from '../keys.ts'
import { LOGS } from '../names.ts'

const trimLog = loadScript(new URL('trim-log.lua', import.meta.url))

/** The number of newest entries of a log to keep in one partition for readers without a group, and their most bytes. */
const KEPT = 10_000
const KEPT_BYTES = 16 * 1024 * 1024

/**
 * Removes old entries of logs that every group has acknowledged, then the consumers of killed processes. A worker calls
 * it from time to time. The entries come first, because their removal frees memory.
 * @returns false: there is never more work to do at once.
 * @throws {StoreUnavailable} while Redis is unavailable for a partition, after the work in the others.
 */
export async function runMaintenance(
  redis: RedisStore,
  keys: Keys,
  consumers: readonly { member: Pick<GroupMember, 'forgetIdle'> }[]
): Promise<false> {
  const trim = async (partition: number) => {
    for (const log of LOGS) {
      await redis
        .masterOf(partition)
        .run(client => trimLog(client, [keys.stream(log, partition)], [KEPT, KEPT_BYTES]))
    }
  }
  const trims = Array.from({ length: keys.partitions }, (_, partition) => () => trim(partition))
  const forgets = consumers.map(({ member }) => member.forgetIdle)
  await inTurn<() => Promise<unknown>, unknown>([...trims, ...forgets], work => work())
  return false
}
