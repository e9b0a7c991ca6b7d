import type { KeyWrite, Message, OutgoingEvent } from '../function.ts'
import type { Delivery } from './delivery.ts'

/** The outcome of a message in Redis. */
export type Outcome =
  | { kind: 'done' }
  /** Tried again after a pause (ms), with the record for that attempt. */
  | { kind: 'retry'; pause: number; record: string }
  /** Dead-lettered. `fields` are those of the dead letter: name, value, name, value … */
  | { kind: 'dead'; fields: string[] }

/** The settlement of one delivery, with everything that the same step writes and publishes. */
export interface Settlement {
  delivery: Pick<Delivery, 'id' | 'source' | 'token'>
  outcome: Outcome
  /** Changes of counters in the hash `settled`. */
  counts: [counter: string, change: number][]
  writes: Pick<KeyWrite, 'key' | 'value' | 'ttl'>[]
  events: (Pick<OutgoingEvent, 'data' | 'unless'> & {
    message: Pick<Message, 'requestId' | 'traceparent'>
  })[]
}

/** The result of `settle.lua`. Messages are named by their position in the call. */
export interface Settled {
  /** The number of messages that were settled. */
  settled: number
  /** Messages with a key that Redis refused to write, and the reason. The consumer still owns these messages. */
  refused: Map<number, Error>
  /** Messages that the consumer no longer owned. */
  lost: Set<number>
}

/**
 * Encodes settlements as keys and arguments of `settle.lua`, after the fixed ones. Makes the texts of authors and
 * clients well-formed, since UTF-8 cannot encode a lone surrogate.
 */
export function encodeSettlements(
  settlements: Settlement[],
  fixedKeys: string[],
  fixedArgs: string[]
): { keys: string[]; args: (string | number)[] } {
  const keys = [...fixedKeys]
  const args: (string | number)[] = [...fixedArgs, ...idRange(settlements)]
  for (const { delivery, outcome, counts, writes, events } of settlements) {
    args.push(
      `${delivery.source} ${outcome.kind} ${counts.length} ${writes.length} ${events.length}`,
      delivery.id
    )
    if (delivery.source === 'retry') args.push(delivery.token)
    for (const { key, value, ttl } of writes) {
      keys.push(key.toWellFormed())
      args.push(value.toWellFormed(), ttl)
    }
    if (outcome.kind === 'retry') args.push(outcome.pause, outcome.record.toWellFormed())
    if (outcome.kind === 'dead') {
      args.push(outcome.fields.length)
      for (const field of outcome.fields) args.push(field.toWellFormed())
    }
    for (const [counter, change] of counts) args.push(counter, change)
    for (const { data, unless, message } of events)
      args.push(data.toWellFormed(), unless.toWellFormed(), message.requestId, message.traceparent)
  }
  return { keys, args }
}

/** Returns the approximate size of a settlement in a call to Redis, in characters. */
export function sizeOf({ outcome, writes, events }: Settlement): number {
  let size = 0
  if (outcome.kind === 'retry') size += outcome.record.length
  if (outcome.kind === 'dead') for (const field of outcome.fields) size += field.length
  for (const { value } of writes) size += value.length
  for (const { data } of events) size += data.length
  return size
}

/** The reply of `settle.lua`. */
export type SettleReply = [settled: number, refused: (number | string)[], lost: number[]]

/** Decodes the reply of `settle.lua`. */
export function decodeReply([settled, list, lost]: SettleReply): Settled {
  const refused = new Map<number, Error>()
  for (let i = 0; i + 1 < list.length; i += 2)
    refused.set(Number(list[i]), new Error(`Redis refused to write a key of this message: ${list[i + 1]}`))
  return { settled, refused, lost: new Set(lost) }
}

/** Returns the lowest and the highest id of the messages from the stream; '' and '' when there is none. */
function idRange(settlements: Settlement[]): [string, string] {
  let [lowest, highest] = ['', '']
  for (const { delivery } of settlements) {
    if (delivery.source !== 'stream') continue
    if (lowest === '' || isBefore(delivery.id, lowest)) lowest = delivery.id
    if (highest === '' || isBefore(highest, delivery.id)) highest = delivery.id
  }
  return [lowest, highest]
}

/**
 * Returns whether the stream id `a`, `<ms>-<sequence>`, comes before `b`. Ids whose parts have equal lengths are
 * compared as text.
 */
export function isBefore(a: string, b: string): boolean {
  if (a.length === b.length && a.indexOf('-') === b.indexOf('-')) return a < b
  const [ms = '', sequence = ''] = a.split('-')
  const [otherMs = '', otherSequence = ''] = b.split('-')
  return ms === otherMs ? isLess(sequence, otherSequence) : isLess(ms, otherMs)
}

/** Compares whole numbers as text, since they may be too large for a JavaScript number. They have no leading zeros. */
function isLess(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length
}
