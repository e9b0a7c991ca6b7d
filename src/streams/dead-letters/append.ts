import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'

const script = loadScript(new URL('append.lua', import.meta.url))

/** The time for which the mark of an appended dead letter prevents a second append (ms). */
const MARKED = 24 * 3_600_000

/** A dead letter for something that was never a message. Times are in ms since 1970. */
export interface NewDeadLetter {
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
 * Appends dead letters of a function to one partition. Skips a dead letter that was appended within the last day.
 * @throws {StoreUnavailable} when Redis does not confirm the dead letters. They may have been appended.
 */
export async function appendDeadLetters(
  redis: RedisStore,
  keys: Keys,
  name: string,
  partition: number,
  deadLetters: NewDeadLetter[]
): Promise<void> {
  const marks = deadLetters.map(({ id }) => keys.deadLetterMark(name, partition, id))
  const entries = deadLetters.map(toEntry)
  const args = [MARKED, entries[0]?.length ?? 0, ...entries.flat()]
  await redis.masterOf(partition).run(client => script(client, [keys.dead(name, partition), ...marks], args))
}

/** Returns the fields and values of a dead letter. Their number is the same for every dead letter. */
function toEntry(deadLetter: NewDeadLetter): string[] {
  return Object.entries({
    id: deadLetter.id,
    v: deadLetter.v,
    data: deadLetter.data,
    request_id: deadLetter.requestId,
    traceparent: deadLetter.traceparent,
    ordinal: '',
    taken: '0',
    code: deadLetter.code,
    error: deadLetter.error,
    message: deadLetter.message,
    attempts: String(deadLetter.attempts),
    first_at: String(deadLetter.firstAt),
    last_at: String(Math.max(deadLetter.firstAt, deadLetter.lastAt))
  }).flat()
}
