import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'

const putScript = loadScript(new URL('append.lua', import.meta.url))

/** How long a letter that was added is not added again (ms). */
const MARKED = 24 * 3_600_000

/** A dead letter of something that was never a message; times are ms since 1970. */
export interface NewLetter {
  /** Unique among the messages of the function. */
  id: string
  v: string
  /** JSON. */
  data: string
  requestId: string
  traceparent: string
  code: string
  error: string
  message: string
  attempts: number
  firstAt: number
  lastAt: number
}

/**
 * Adds dead letters of a function to one partition. One that was added within the last day is not added again.
 * @throws {StoreUnavailable} when nothing says that they were added.
 */
export async function putLetters(
  redis: RedisStore,
  keys: Keys,
  name: string,
  partition: number,
  letters: NewLetter[]
): Promise<void> {
  const used = [keys.dead(name, partition), ...letters.map(({ id }) => keys.letter(name, partition, id))]
  const args = letters.map(letter =>
    JSON.stringify(
      Object.entries({
        id: letter.id,
        v: letter.v,
        data: letter.data,
        request_id: letter.requestId,
        traceparent: letter.traceparent,
        ordinal: '',
        taken: '0',
        code: letter.code,
        error: letter.error,
        message: letter.message,
        attempts: String(letter.attempts),
        first_at: String(letter.firstAt),
        last_at: String(Math.max(letter.firstAt, letter.lastAt))
      }).flat()
    )
  )
  await redis.run(client => putScript(client, used, [MARKED, ...args]))
}
