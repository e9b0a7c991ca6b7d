import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { type KnownFunction, toMember } from './known-functions.ts'

const recordRun = loadScript(new URL('record-run.lua', import.meta.url))

/** The value in the hash `alive` of a function that an operator has ended. */
export const ENDED = 'ended'

/**
 * Removes the mark `ended` from the functions that this process runs. A process of the previous version reads the time
 * of a function's last run in its place, and warns when this time is old. While such a process runs (`olderProcesses`),
 * writes the time instead.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function unmarkEnded(
  redis: RedisStore,
  keys: Keys,
  functions: readonly KnownFunction[],
  olderProcesses: boolean
): Promise<void> {
  const members = [...new Set(functions.map(toMember))]
  if (members.length === 0) return
  for (let partition = 0; partition < keys.partitions; partition++) {
    const key = keys.alive(partition)
    await redis
      .masterOf(partition)
      .run(client => (olderProcesses ? recordRun(client, [key], members) : client.hdel(key, ...members)))
  }
}
