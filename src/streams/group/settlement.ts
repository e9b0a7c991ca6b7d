import type { KeyWrite, OutgoingEvent } from '../function.ts'
import type { Delivery } from './delivery.ts'

/** What becomes of a message that is not done. */
export type Outcome =
  | { kind: 'done' }
  /** Tried again after a pause (ms), with the record as it then stands. */
  | { kind: 'retry'; pause: number; record: string }
  /** Given up: the fields of the dead letter. */
  | { kind: 'dead'; fields: string[] }

/** Counters of `settled`: what the audit needs to know of messages that are gone. */
export type Counter = 'duplicates' | 'conflicts' | 'redriving'

/** The end of one delivery, with all that is written in the same step. */
export interface Settlement {
  delivery: Pick<Delivery, 'id' | 'source' | 'token'>
  outcome: Outcome
  counts: [Counter, change: number][]
  writes: Pick<KeyWrite, 'key' | 'value' | 'ttl'>[]
  events: (Pick<OutgoingEvent, 'data' | 'unless'> & { requestId: string; traceparent: string })[]
}

/** What came of settling. */
export interface Settled {
  /** How many the consumer still owned, and has ended. */
  settled: number
  /** Those that it still owns, since Redis refused to write a key of theirs: by position, with the reason. */
  refused: Map<number, Error>
}

/** The keys and arguments that `settle.lua` takes for settlements, behind those that every call has. */
export function settlementArgs(
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
      keys.push(key)
      args.push(value, ttl)
    }
    if (outcome.kind === 'retry') args.push(outcome.pause, outcome.record)
    if (outcome.kind === 'dead') args.push(outcome.fields.length, ...outcome.fields)
    for (const [counter, change] of counts) args.push(counter, change)
    for (const { data, unless, requestId, traceparent } of events)
      args.push(data, unless, requestId, traceparent)
  }
  return { keys, args }
}

/** About how many bytes a settlement sends to Redis, counted as characters. */
export function sizeOf({ outcome, writes, events }: Settlement): number {
  let size = 0
  if (outcome.kind === 'retry') size += outcome.record.length
  if (outcome.kind === 'dead') for (const field of outcome.fields) size += field.length
  for (const { value } of writes) size += value.length
  for (const { data } of events) size += data.length
  return size
}

/** What `settle.lua` gives. */
export type SettleReply = [settled: number, refused: (number | string)[]]

export function toSettled([settled, list]: SettleReply): Settled {
  const refused = new Map<number, Error>()
  for (let i = 0; i + 1 < list.length; i += 2)
    refused.set(Number(list[i]), new Error(`Redis refused to write a key of this message: ${list[i + 1]}`))
  return { settled, refused }
}

/** The lowest and the highest id of what came from the stream, or twice ''. */
function idRange(settlements: Settlement[]): [string, string] {
  let [lowest, highest] = ['', '']
  for (const { delivery } of settlements) {
    if (delivery.source !== 'stream') continue
    if (lowest === '' || isBefore(delivery.id, lowest)) lowest = delivery.id
    if (highest === '' || isBefore(highest, delivery.id)) highest = delivery.id
  }
  return [lowest, highest]
}

/** Whether one stream id, `<ms>-<sequence>`, comes before another. With parts of the same length they compare as text. */
export function isBefore(a: string, b: string): boolean {
  if (a.length === b.length && a.indexOf('-') === b.indexOf('-')) return a < b
  const [ms = '', sequence = ''] = a.split('-')
  const [otherMs = '', otherSequence = ''] = b.split('-')
  return ms === otherMs ? isLess(sequence, otherSequence) : isLess(ms, otherMs)
}

/** Compares whole numbers as text: they have no zeros in front, and may be too large for a number. */
function isLess(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length
}
