import {
  type BatchResult,
  type KeyWrite,
  type OutgoingEvent,
  type ResolvedFunction,
  TerminalError
} from '../function.ts'
import type { Decoded } from './decode.ts'
import type { HandlerOutcome } from './handle.ts'
import { readableError } from './readable-error.ts'

/** The writes and events of the step that settles a message. */
export interface Extras {
  writes: KeyWrite[]
  events: OutgoingEvent[]
}

/** Nothing to write or publish. */
export const NO_EXTRAS: Extras = { writes: [], events: [] }

/** The outcome that is decided for one message. */
export type Verdict =
  /** Handled, or excluded by the filter. */
  | { kind: 'done'; decoded: Decoded; duplicate: boolean; notified: boolean; extras: Extras }
  /** Tried again later. With `alone`, the failed call uses no attempt, and the message runs alone from then on. */
  | { kind: 'retry'; decoded: Decoded; cause: Error; alone: boolean }
  /** Dead-lettered. `notified` is true when `onDead` was called, or must not be called. */
  | { kind: 'dead'; decoded: Decoded; cause: Error; notified: boolean; extras: Extras }
  /** Returned to the group, which uses no attempt. `others` are workers that support its version. */
  | { kind: 'released'; decoded: Decoded; to: 'anyone' | 'others' }

/** The verdict of a message that is to be dead-lettered. */
export type DeadVerdict = Extract<Verdict, { kind: 'dead' }>

/** Returns the verdict `done`. */
export function done(decoded: Decoded, extras: Extras, duplicate = false): Verdict {
  return { kind: 'done', decoded, duplicate, notified: false, extras }
}

/** Returns the verdict `released`. */
export function released(decoded: Decoded, to: 'anyone' | 'others'): Verdict {
  return { kind: 'released', decoded, to }
}

/** Returns the verdict of a failed message: dead when it can never succeed or has no attempt left, else retry. */
export function failed(decoded: Decoded, cause: Error, { retry }: ResolvedFunction): Verdict {
  const final = cause instanceof TerminalError || decoded.message.attempt >= retry.attempts
  return final
    ? { kind: 'dead', decoded, cause, notified: false, extras: NO_EXTRAS }
    : { kind: 'retry', decoded, cause, alone: false }
}

/** Returns one verdict for each message of a handler's outcome. */
export function verdictsOf(outcome: HandlerOutcome, definition: ResolvedFunction): Verdict[] {
  const { batch } = outcome
  switch (outcome.kind) {
    case 'released':
      return batch.map(decoded => released(decoded, 'anyone'))
    case 'failed':
      return batch.map(decoded => failed(decoded, outcome.cause, definition))
    case 'timed-out':
      return batch.map(decoded => ({ kind: 'retry', decoded, cause: outcome.cause, alone: true }))
    case 'returned':
      return verdictsOfResult(batch, outcome.result, definition)
  }
}

function verdictsOfResult(batch: Decoded[], result: BatchResult, definition: ResolvedFunction): Verdict[] {
  const causes = causesIn(result)
  const duplicates = duplicatesIn(result)
  const extrasOf = extrasIn(result)
  return batch.map(decoded => {
    const { id } = decoded.message
    const cause = causes.get(id)
    return cause ? failed(decoded, cause, definition) : done(decoded, extrasOf(id), duplicates.has(id))
  })
}

/**
 * Applies the result of `onDead`: a message in `duplicates` is done instead, and a cause in `failed` replaces the first
 * one.
 */
export function afterOnDead(dead: readonly DeadVerdict[], result: BatchResult): Verdict[] {
  const causes = causesIn(result)
  const duplicates = duplicatesIn(result)
  const extrasOf = extrasIn(result)
  return dead.map(({ decoded, cause }) => {
    const { id } = decoded.message
    const extras = extrasOf(id)
    if (duplicates.has(id)) return { kind: 'done', decoded, duplicate: true, notified: true, extras }
    return { kind: 'dead', decoded, cause: causes.get(id) ?? cause, notified: true, extras }
  })
}

/**
 * Returns the new verdict of a message when Redis refused to write its key. After `onDead`, the message is
 * dead-lettered without any write, since `onDead` would return the same result again. Otherwise the message has failed.
 */
export function afterRefusal(verdict: Verdict, refusal: Error, definition: ResolvedFunction): Verdict {
  const { decoded } = verdict
  if (!isNotified(verdict)) return failed(decoded, refusal, definition)
  const cause = verdict.kind === 'dead' ? verdict.cause : refusal
  return { kind: 'dead', decoded, cause, notified: true, extras: NO_EXTRAS }
}

/** Returns whether `onDead` was called for the message, or must not be called. */
export function isNotified(verdict: Verdict): boolean {
  return (verdict.kind === 'done' || verdict.kind === 'dead') && verdict.notified
}

function causesIn({ failed }: BatchResult): ReadonlyMap<string, Error> {
  return new Map(failed?.map(({ message, cause }) => [message.id, readableError(cause)]))
}

function duplicatesIn({ duplicates }: BatchResult): ReadonlySet<string> {
  return new Set(duplicates?.map(({ id }) => id))
}

function extrasIn({ writes, events }: BatchResult): (id: string) => Extras {
  if (!writes?.length && !events?.length) return () => NO_EXTRAS
  const writesOf = Map.groupBy(writes ?? [], ({ message }) => message.id)
  const eventsOf = Map.groupBy(events ?? [], ({ message }) => message.id)
  return id => ({ writes: writesOf.get(id) ?? [], events: eventsOf.get(id) ?? [] })
}
