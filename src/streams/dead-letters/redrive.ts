import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES, LARGEST_MESSAGE } from '../limits.ts'
import type { RedriveCounters } from '../registry/service-function.ts'
import { inSteps, toChunks } from './ids.ts'
import { readAllIds } from './read.ts'

const script = loadScript(new URL('redrive.lua', import.meta.url))

/** The number of dead letters that an operation changed, and the given ids that do not exist. */
export interface DeadLetterTally {
  count: number
  missing: string[]
}

/** Some dead letters cannot be redriven. The message lists their ids, and the reason. */
export class RedriveRefused extends Error {
  override name = 'RedriveRefused'

  constructor(name: string, sent: number, refused: string[]) {
    const more = refused.length > 10 ? ` and ${refused.length - 10} more` : ''
    super(
      `${sent} dead letters were sent back to ${name}. These cannot be: ${refused.slice(0, 10).join(', ')}${more}. ` +
        `They do not have the whole message, or it is larger than ${LARGEST_MESSAGE} bytes.`
    )
  }
}

/** The dead letters to redrive. */
export interface RedriveRequest {
  name: string
  /** Undefined for all dead letters that exist when the redrive begins. */
  ids: string[] | undefined
  /** Dead letters per second. */
  rate: number
  counters: RedriveCounters | undefined
  /** The request that asked for the redrive; '' when there was none. */
  requestId: string
}

/**
 * Sends dead letters back to their function, with new attempts.
 * @throws {RedriveRefused} when some of `ids` cannot be sent back. The others have been sent. Without `ids`, only when
 * some cannot be sent back and none was sent.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function redriveDeadLetters(
  redis: RedisStore,
  keys: Keys,
  { name, ids, rate, counters, requestId }: RedriveRequest
): Promise<DeadLetterTally> {
  const pause = 1000 / rate
  const refused: string[] = []
  const missing = new Set(ids)
  let sent = 0
  for await (const { partition, entries } of ids ? toChunks(ids, keys) : readAllIds(redis, keys, name)) {
    const used = [
      keys.dead(name, partition),
      keys.retry(name, partition),
      keys.retrying(name, partition),
      keys.settled(partition)
    ]
    await inSteps(entries, async rest => {
      const changes = JSON.stringify(counters ?? {})
      const args = [sent * pause, pause, changes, CALL_BYTES, LARGEST_MESSAGE, requestId, ...rest]
      const reply = await redis.masterOf(partition).run(client => script(client, used, args))
      const [looked, moved, left] = reply as [number, string[], string[]]
      sent += moved.length
      refused.push(...left.map(entry => `${partition}:${entry}`))
      for (const entry of [...moved, ...left]) missing.delete(`${partition}:${entry}`)
      return looked
    })
  }
  if (refused.length > 0 && (ids || sent === 0)) throw new RedriveRefused(name, sent, refused)
  return { count: sent, missing: [...missing] }
}
