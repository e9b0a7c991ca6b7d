/** An entry of a stream as Redis returns it: its id, then field, value, field, value … */
export type Entry = [id: string, fields: string[]]

/**
 * The record of a message that waits for another attempt: all that the attempt needs. Times are milliseconds since
 * 1970.
 */
export interface RetryRecord {
  v: string
  data: string
  requestId: string
  traceparent: string
  ordinal: string
  /** Attempts that have failed. */
  attempts: number
  /** The time when the function first received it. */
  firstAt: number
  /**
   * The token minus the deliveries since the last outcome. A release raises it too, so that its delivery does not
   * count.
   */
  taken: number
  /** Which kind of dead letter a redriven message was; '' for a message that was never redriven. */
  redriven: '' | 'failed' | 'conflict'
  /** Set when it must run alone: a call with it and others ran out of time. */
  alone?: true
}

/** A message that this consumer has taken. */
export interface Delivery {
  id: string
  source: 'stream' | 'retry'
  /**
   * Shows whether this consumer still owns a `retry`: it rises with each delivery and each outcome. '' for `stream`.
   */
  token: string
  /** The number of its deliveries since its last outcome, this one included. */
  deliveries: number
  record: RetryRecord
  /** Set when the record cannot be read: its data is the text found in its place. */
  corrupt?: true
}

/**
 * Deliveries without an outcome after which a message is a suspect: it may kill its worker. A suspect is a batch of its
 * own. While it runs, its consumer runs no other batch, and its process no other suspect.
 */
export const SUSPECT_DELIVERIES = 3

/** Returns whether a message is a suspect. */
export function isSuspect({ deliveries }: Delivery): boolean {
  return deliveries >= SUSPECT_DELIVERIES
}

/** Returns a field of an entry, or ''. */
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

/** Renders a record. `taken` comes first, so that a script can change it without decoding the whole. */
export function recordText({ taken, ...record }: RetryRecord): string {
  return JSON.stringify({ taken, ...record })
}

/** Reads a record; undefined when it is invalid. Fields that an older version did not write are empty. */
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

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
