import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES, KEPT_BYTES } from '../limits.ts'
import { inSteps, toChunks } from './ids.ts'
import type { DeadLetterTally } from './redrive.ts'

const script = loadScript(new URL('discard.lua', import.meta.url))

/** The number of newest discarded dead letters to keep, for each function and partition. */
const KEEP_DISCARDED = 10_000

/**
 * Discards dead letters of a function. Keeps the newest discarded ones, with the reason.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function discardDeadLetters(
  redis: RedisStore,
  keys: Keys,
  name: string,
  ids: string[],
  reason: string
): Promise<DeadLetterTally> {
  const missing = new Set(ids)
  let count = 0
  for (const { partition, entries } of toChunks(ids, keys)) {
    const used = [keys.dead(name, partition), keys.discarded(name, partition)]
    await inSteps(entries, async rest => {
      const args = [reason, KEEP_DISCARDED, CALL_BYTES, KEPT_BYTES, ...rest]
      const reply = await redis.masterOf(partition).run(client => script(client, used, args))
      const [looked, discarded] = reply as [number, string[]]
      count += discarded.length
      for (const entry of discarded) missing.delete(`${partition}:${entry}`)
      return looked
    })
  }
  return { count, missing: [...missing] }
}
