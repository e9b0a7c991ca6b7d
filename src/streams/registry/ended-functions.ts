import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { type KnownFunction, toMember } from './known-functions.ts'

const recordRun = loadScript(new URL('record-run.lua', import.meta.url))

/** The mark in the hash `alive` of a function that an operator has ended. */
export const ENDED = 'ended'

/**
 * Removes the marks of functions that this process runs: a function that runs is not ended. A process of the version
 * before reads the time of the last run there, and warns when it is old. While one lives (`olderProcesses`), writes the
 * time instead.
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
    await redis.run(client =>
      olderProcesses ? recordRun(client, [key], members) : client.hdel(key, ...members)
    )
  }
}
