/** An entry of a stream as Redis returns it: its id, then field, value, field, value … */
export type Entry = [id: string, fields: string[]]

/**
 * The record of a message that waits for another attempt, with everything that the attempt needs. Times are
 * milliseconds since 1970.
 */
export interface RetryRecord {
  v: string
  data: string
  requestId: string
  traceparent: string
  ordinal: string
  /** Attempts that have failed. */
  attempts: number
  /** The time when the function first received the message. */
  firstAt: number
  /**
   * The token minus the number of deliveries since the last outcome. A release increases `taken`, so that the released
   * delivery does not count.
   */
  taken: number
  /** The kind of dead letter that a redriven message was; '' for a message that was never redriven. */
  redriven: '' | 'failed' | 'conflict'
  /** The last redrive: its time, and the request; undefined when the message was never redriven. */
  redrive?: { at: number; requestId: string }
  /** Set when the message must run alone: a call with this message and others ran out of time. */
  alone?: true
}

/** A message that this consumer has taken. */
export interface Delivery {
  id: string
  source: 'stream' | 'retry'
  /**
   * Shows whether this consumer still owns a `retry`: the token increases with each delivery and each outcome. The
   * token of a message from the `stream` is ''.
   */
  token: string
  /** The number of its deliveries since its last outcome, this one included. */
  deliveries: number
  record: RetryRecord
  /** Set when the record in Redis cannot be read. `record.data` is then the text of that record. */
  corrupt?: true
}

/**
 * The number of deliveries without an outcome that makes a message a suspect: it may kill its worker. A suspect is a
 * batch of its own. While it runs, its consumer runs no other batch, and its process runs no other suspect.
 */
export const SUSPECT_DELIVERIES = 3

/** Returns whether a message is a suspect. */
export function isSuspect({ deliveries }: Delivery): boolean {
  return deliveries >= SUSPECT_DELIVERIES
}

/** Returns the value of a field of an entry; '' when the entry does not have the field. */
export function fieldOf(list: string[], name: string): string {
  for (let i = 0; i + 1 < list.length; i += 2) if (list[i] === name) return list[i + 1] as string
  return ''
}

/** Converts an entry of the stream to a delivery. */
export function fromEntry([id, list]: Entry, deliveries: number): Delivery {
  const record = {
    v: fieldOf(list, 'v'),
    data: fieldOf(list, 'data'),
    requestId: fieldOf(list, 'request_id'),
    traceparent: fieldOf(list, 'traceparent'),
    ordinal: fieldOf(list, 'ordinal'),
    attempts: 0,
    firstAt: Date.now(),
    taken: 0,
    redriven: '' as const
  }
  return { id, source: 'stream', token: '', deliveries, record }
}

/** Converts the record of a message that waits for another attempt to a delivery. */
export function fromRetry(id: string, text: string, token: string): Delivery {
  const record = readRecord(text)
  if (record) return { id, source: 'retry', token, deliveries: Number(token) - record.taken, record }
  const rest = fromEntry([id, ['data', text]], 1).record
  return { id, source: 'retry', token, deliveries: 1, record: rest, corrupt: true }
}

/** Renders a record. `taken` comes first, so that a script can change it without decoding the record. */
export function recordText({ taken, ...record }: RetryRecord): string {
  return JSON.stringify({ taken, ...record })
}

/** Parses a record; returns undefined when it is invalid. Fields that an older version did not write are empty. */
function readRecord(text: string): RetryRecord | undefined {
  const found = parse(text) as Partial<RetryRecord> | null | undefined
  if (typeof found?.v !== 'string' || typeof found.data !== 'string') return undefined
  const { v, data, attempts, firstAt, taken } = found
  if (!isWhole(attempts) || attempts < 0 || !isWhole(taken)) return undefined
  return {
    v,
    data,
    requestId: textOf(found.requestId),
    traceparent: textOf(found.traceparent),
    ordinal: textOf(found.ordinal),
    attempts,
    firstAt: isWhole(firstAt) ? firstAt : Date.now(),
    taken,
    redriven: found.redriven === 'failed' || found.redriven === 'conflict' ? found.redriven : '',
    ...(isTime(found.redrive?.at) && {
      redrive: { at: found.redrive.at, requestId: textOf(found.redrive.requestId) }
    }),
    ...(found.alone === true && { alone: true as const })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

/** The latest time of a JavaScript date (ms since 1970). */
const LATEST = 8_640_000_000_000_000

function isTime(value: unknown): value is number {
  return isWhole(value) && value >= 0 && value <= LATEST
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
