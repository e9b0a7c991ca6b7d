import type { DeadLetter as DeadLetterBody, Dealt } from '../../schema/http/dead-letter.ts'
import type { DeadLetter } from '../streams/dead-letters/dead-letter.ts'
import type { DeadLetterTally } from '../streams/dead-letters/redrive.ts'

/** The most missing ids that a response names. */
const MOST_NAMED = 100

/** Encodes a dead letter for a response. */
export function toDeadLetterBody(deadLetter: DeadLetter): DeadLetterBody {
  return {
    id: deadLetter.id,
    function: deadLetter.function,
    message_id: deadLetter.messageId,
    request_id: deadLetter.requestId,
    code: deadLetter.code,
    cause: deadLetter.cause,
    attempts: deadLetter.attempts,
    first_at: toIso(deadLetter.firstAt),
    last_at: toIso(deadLetter.lastAt),
    data: deadLetter.data,
    data_bytes: deadLetter.dataBytes,
    redrivable: deadLetter.redrivable,
    ...(deadLetter.corrupt && { corrupt: true })
  }
}

/** Encodes how many dead letters were redriven or discarded. Names the missing ids unless there are too many. */
export function toDealt({ count, missing }: DeadLetterTally): Dealt {
  return missing.length > 0 && missing.length <= MOST_NAMED ? { count, missing } : { count }
}

function toIso(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString()
}
