import { codeOf, type ResolvedFunction, TerminalError } from '../function.ts'
import {
  type Decoded,
  type Delivery,
  recordText,
  SUSPECT_DELIVERIES,
  UnusableMessage
} from '../group/delivery.ts'
import type { Counter, Outcome } from '../group/settlement.ts'
import { beginningOf, KEPT_BYTES } from '../limits.ts'
import { ORDER_FUNCTION } from '../names.ts'

/** The message was handed out again and again, and its worker never came to say what became of it. */
class CrashedError extends TerminalError {
  constructor(deliveries: number) {
    super(
      'crashed',
      `it was delivered ${deliveries} times without an outcome: it may kill the process that handles it`
    )
  }
}

/** Whether a failure is the last one: it can never succeed, or its attempts are used up. */
export function isFinal({ message }: Decoded, cause: Error, definition: ResolvedFunction): boolean {
  return cause instanceof TerminalError || message.attempt >= definition.retry.attempts
}

/** One message delivered in vain for three times runs alone, `attempts` times; then it is what kills its process. */
export function crashed({ deliveries }: Delivery, { retry }: ResolvedFunction): Error | undefined {
  return deliveries >= SUSPECT_DELIVERIES + retry.attempts ? new CrashedError(deliveries - 1) : undefined
}

/**
 * Whether a message has been given up for killing its process, and the process has died as often again with it since:
 * while its function was told of that. It is in a batch of its own by then.
 */
export function isBeyondTelling({ deliveries }: Delivery, { retry }: ResolvedFunction): boolean {
  return deliveries >= SUSPECT_DELIVERIES + 2 * retry.attempts
}

/** Another attempt after a random pause of up to base × 2^attempt (full jitter), at most max. */
export function toRetry({ delivery }: Decoded, { retry }: ResolvedFunction): Outcome {
  const { record } = delivery
  const ceiling = Math.min(retry.max, retry.base * 2 ** record.attempts)
  return {
    kind: 'retry',
    pause: Math.ceil(Math.random() * ceiling),
    record: recordText({ ...record, attempts: record.attempts + 1, taken: tokenAfter(delivery) })
  }
}

/**
 * The dead letter of a message: the message itself, and why and when it was given up. No stack: it is for the log. Of a
 * message that is too large, or cannot be read, it has the beginning.
 */
export function toDeadLetter({ delivery, message, fault }: Decoded, cause: Error): Outcome {
  const { record } = delivery
  // The clocks of Redis and of the workers that had the message may differ.
  const begun = Math.max(record.firstAt, appendedAt(delivery.id))
  const partial = fault instanceof UnusableMessage
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
    message: cause.message.slice(0, 1000),
    attempts: String(message.attempt),
    first_at: String(begun),
    last_at: String(Math.max(begun, Date.now()))
  }
  return { kind: 'dead', fields: Object.entries(fields).flat() }
}

/** When Redis appended the entry of that id, in ms; 0 for an id that does not say. */
function appendedAt(id: string): number {
  return Number(/^(\d{1,13})-/.exec(id)?.[1] ?? 0)
}

/** What the end of a message changes in the counters of the audit; nothing unless it is about an order. */
export function countsOf(
  { name }: ResolvedFunction,
  { delivery }: Decoded,
  outcome: 'done' | 'duplicate' | 'dead',
  cause?: Error
): [Counter, number][] {
  if (name !== ORDER_FUNCTION) return []
  const counts: [Counter, number][] = []
  if (outcome === 'duplicate') counts.push(['duplicates', 1])
  if (cause && codeOf(cause) === 'conflict') counts.push(['conflicts', 1])
  if (delivery.record.redriven === 'failed') counts.push(['redriving', -1])
  return counts
}

/** What the token of a message stands at after an outcome; one from the stream had none. */
function tokenAfter({ token }: Delivery): number {
  return Number(token) + 1
}
