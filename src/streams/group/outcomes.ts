import { codeOf, type ResolvedFunction } from '../function.ts'
import { beginningOf, KEPT_BYTES } from '../limits.ts'
import { type Delivery, type RetryRecord, recordText } from './delivery.ts'
import type { Outcome } from './settlement.ts'

/** Most characters of an error's message that a dead letter keeps. */
const MESSAGE_LENGTH = 1000

/** Returns a retry after a random pause (full jitter): at most base × 2^attempts, and at most max (ms). */
export function retryOutcome(delivery: Delivery, { base, max }: ResolvedFunction['retry']): Outcome {
  const { record } = delivery
  const ceiling = Math.min(max, base * 2 ** record.attempts)
  return {
    kind: 'retry',
    pause: Math.ceil(Math.random() * ceiling),
    record: recordText({ ...record, attempts: record.attempts + 1, taken: tokenAfter(delivery) })
  }
}

/** Returns a retry without a pause. The message runs alone from then on, and the failed call uses no attempt. */
export function aloneOutcome(delivery: Delivery): Outcome {
  const record: RetryRecord = { ...delivery.record, alone: true, taken: tokenAfter(delivery) }
  return { kind: 'retry', pause: 0, record: recordText(record) }
}

/**
 * Returns the dead letter of a message: the message, with the cause and the time of its last failure. Only the log has
 * the stack. A `partial` dead letter has only the beginning of each field: the message is too large, or cannot be read.
 */
export function deadOutcome(delivery: Delivery, cause: Error, partial: boolean): Outcome {
  const { record } = delivery
  // The clocks of Redis and of the workers that had the message may differ.
  const begun = Math.max(record.firstAt, appendedAt(delivery.id))
  const kept = (text: string) => (partial ? beginningOf(text, KEPT_BYTES) : text)
  const fields: Record<string, string> = {
    id: delivery.id,
    v: kept(record.v),
    data: kept(record.data),
    ...(partial && { partial: '1', bytes: String(Buffer.byteLength(record.data)) }),
    request_id: kept(record.requestId),
    traceparent: kept(record.traceparent),
    ordinal: kept(record.ordinal),
    taken: String(tokenAfter(delivery)),
    code: codeOf(cause),
    error: cause.name,
    message: cause.message.slice(0, MESSAGE_LENGTH),
    attempts: String(record.attempts + 1),
    first_at: String(begun),
    last_at: String(Math.max(begun, Date.now()))
  }
  return { kind: 'dead', fields: Object.entries(fields).flat() }
}

/** Returns the time when Redis appended the entry with that id (ms since 1970); 0 for an id without a time. */
function appendedAt(id: string): number {
  return Number(/^(\d{1,13})-/.exec(id)?.[1] ?? 0)
}

/** Returns the token of a message after its settlement. A message from the stream has no token before. */
function tokenAfter({ token }: Delivery): number {
  return Number(token) + 1
}
