import { Compile } from 'typebox/compile'
import { type Message, type ResolvedFunction, TerminalError, versionsOf } from '../function.ts'
import { isTooLarge, LARGEST_MESSAGE } from '../limits.ts'

/** One entry of a stream as Redis gives it: its id, then field, value, field, value … */
export type Entry = [id: string, fields: string[]]

/**
 * A message as it waits for another attempt, and as a dead letter carries it: all that a new attempt needs. Times are
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
  /** When it was first given to the function. */
  firstAt: number
  /** Its token goes ahead of this with each taking that comes to no outcome; giving one back untried moves both. */
  taken: number
  /** What it was as a dead letter, when an operator sent it back; '' when it never was one. */
  redriven: '' | 'failed' | 'conflict'
}

/** A message in hand, and how this consumer came by it. */
export interface Delivery {
  id: string
  source: 'stream' | 'retry'
  /** What shows that it is still this consumer's, for `retry`: it goes up with each taking and each end of one. */
  token: string
  /** How often it was handed out since it last had an outcome, this time included. */
  deliveries: number
  record: RetryRecord
  /** Whether the record could not be read: its data is the text that stood there. */
  corrupt?: true
}

/**
 * Deliveries without an outcome after which a message may be what kills its worker. Such a suspect is a batch of its own,
 * beside which its function runs nothing and its process no other suspect.
 */
export const SUSPECT_DELIVERIES = 3

export function isSuspect({ deliveries }: Delivery): boolean {
  return deliveries >= SUSPECT_DELIVERIES
}

/** A delivery, and the message in it; without one, `fault` says why it cannot be handed to the function. */
export interface Decoded {
  delivery: Delivery
  message: Message
  fault?: Error
}

/** The message has a version that this process does not know; a newer one will. */
export class UnknownVersion extends Error {
  override name = 'UnknownVersion'
}

/** There is no message in it that a function could be given, and none to send it again. */
export class UnusableMessage extends TerminalError {
  override name = 'UnusableMessage'
}

/** A field of an entry; '' when it has none of that name. An entry has few, so it is looked through each time. */
export function fieldOf(list: string[], name: string): string {
  for (let i = 0; i + 1 < list.length; i += 2) if (list[i] === name) return list[i + 1] as string
  return ''
}

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

export function fromRetry(id: string, text: string, token: string): Delivery {
  const record = readRecord(text)
  if (record) return { id, source: 'retry', token, deliveries: Number(token) - record.taken, record }
  const rest = fromEntry([id, ['data', text]], 1).record
  return { id, source: 'retry', token, deliveries: 1, record: rest, corrupt: true }
}

/** A record as text; `taken` stands first, where a script finds and changes it without decoding the whole. */
export function recordText({ taken, ...record }: RetryRecord): string {
  return JSON.stringify({ taken, ...record })
}

/** A record from its text; undefined when it is none. What an older version did not write is empty. */
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
    redriven: found.redriven === 'failed' || found.redriven === 'conflict' ? found.redriven : ''
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

/** Why there is no message in a delivery that can be used; undefined when there is one. */
function unusable({ corrupt, record }: Delivery): UnusableMessage | undefined {
  if (corrupt) return new UnusableMessage('corrupt', 'the record of the message cannot be read')
  const { v, data, requestId, traceparent, ordinal } = record
  if (!isTooLarge(v, data, requestId, traceparent, ordinal)) return undefined
  return new UnusableMessage('too-large', `the message is larger than ${LARGEST_MESSAGE} bytes`)
}

/** Makes messages of a partition's deliveries. The compiled schema is the function's own. */
export function createDecoder(
  definition: ResolvedFunction,
  partition: number
): (delivery: Delivery) => Decoded {
  const schema = Compile(definition.schema)
  const versions = versionsOf(definition)
  return delivery => {
    const { id, record } = delivery
    const message: Message = {
      id,
      body: undefined,
      // Ids of entries are given by each partition's stream, so two of those may give the same.
      effectKey: `${definition.name}:${partition}:${id}`,
      attempt: record.attempts + 1,
      version: record.v,
      redriven: record.redriven !== '',
      requestId: record.requestId,
      traceparent: record.traceparent,
      ordinal: record.ordinal
    }
    const fault = unusable(delivery)
    if (fault) return { delivery, message, fault }
    // No worker will ever know a message that names no version.
    if (record.v === '') {
      return {
        delivery,
        message,
        fault: new TerminalError('invalid', 'the message has no version (field v)')
      }
    }
    if (!versions.includes(record.v)) {
      const text = `the message has version ${record.v}, ${definition.name} knows ${versions.join(', ')}`
      return { delivery, message, fault: new UnknownVersion(text) }
    }
    try {
      message.body = JSON.parse(record.data)
    } catch (cause) {
      return {
        delivery,
        message,
        fault: new TerminalError('invalid', 'the data of the message is not JSON', { cause })
      }
    }
    if (schema.Check(message.body)) return { delivery, message }
    const faults = schema.Errors(message.body).map(fault => `${fault.instancePath || '/'} ${fault.message}`)
    return { delivery, message, fault: new TerminalError('invalid', faults.join('; ')) }
  }
}
