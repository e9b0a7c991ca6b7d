import { type StoreName, StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import type { BatchResult } from '../function.ts'
import { findOutage, findStoreError } from '../outage/find-outage.ts'
import { HandlerTimeout } from '../outage/handler-timeout.ts'
import type { Wait } from '../outage/outages.ts'
import { callInTime } from './call-in-time.ts'
import { checkResult } from './check-result.ts'
import type { Decoded } from './decode.ts'
import { readableError } from './readable-error.ts'
import type { BatchRuntime } from './runtime.ts'

/** The outcome of a call of the handler for some messages of a batch. */
export type HandlerOutcome =
  | { kind: 'returned'; batch: Decoded[]; result: BatchResult }
  /** A single message that failed. */
  | { kind: 'failed'; batch: [Decoded]; cause: Error }
  /** Several messages whose call ran out of time: any of them may be the cause. */
  | { kind: 'timed-out'; batch: Decoded[]; cause: Error }
  /** Messages that were not handled completely, because the worker stops or their slot is held. */
  | { kind: 'released'; batch: Decoded[] }

/** The number of calls with a broken connection after which the messages have failed, if the store answers its ping. */
const TRIES = 3

/** Messages that still need a call of the handler. Calls that wait for the same outage have the same `wait`. */
interface Open {
  batch: Decoded[]
  wait: Wait
  /** The number of calls that failed because a connection broke. */
  broken: number
}

/**
 * Calls the handler until each message has an outcome, and yields each outcome as soon as it is known:
 *
 * - During an outage, it waits. Then it calls the handler with one message before the others.
 * - A batch whose call throws is split in two, until the failing message is alone.
 * - A batch that runs out of time is not split: its messages run alone later.
 * - When the worker stops and can wait no longer, the remaining messages are released.
 */
export async function* handle(runtime: BatchRuntime, messages: Decoded[]): AsyncGenerator<HandlerOutcome> {
  const { outages, leaving, slot, log } = runtime
  const open: Open[] = []
  const add = (batch: Decoded[], wait = outages.wait()) => {
    if (batch.length > 0) open.push({ batch, wait, broken: 0 })
  }
  add(messages)
  for (let next = open.pop(); next; next = open.pop()) {
    const { batch, wait } = next
    // A call that has run out of time still counts towards the function's concurrency.
    if (slot.isHeld()) {
      wait.end()
      yield { kind: 'released', batch }
      continue
    }
    const { result, handled, left, cause, outage } = await callOnce(runtime, batch)
    if (result) {
      if (left.length === 0) wait.end()
      yield { kind: 'returned', batch: handled, result }
    }
    if (left.length === 0) continue
    if (leaving.aborted || (outage && !(await wait.pause(outage)))) {
      wait.end()
      yield { kind: 'released', batch: left }
    } else if (outage) {
      add(left.slice(1))
      add(left.slice(0, 1), wait)
    } else if (findStoreError(cause)?.error instanceof StoreUnavailable && next.broken + 1 < TRIES) {
      // A broken connection is not the fault of the messages.
      open.push({ ...next, broken: next.broken + 1 })
    } else {
      wait.end()
      const [first, second] = left as [Decoded, Decoded?]
      if (!second) yield { kind: 'failed', batch: [first], cause }
      else if (cause instanceof HandlerTimeout) yield { kind: 'timed-out', batch: left, cause }
      else {
        const half = Math.ceil(left.length / 2)
        log.warn({ err: cause, messages: left.length }, 'batch failed and is split in two')
        add(left.slice(half))
        add(left.slice(0, half))
      }
    }
  }
}

/** The result of one call of the handler. */
interface Called {
  /** The result of the handler; undefined when the call failed. */
  result?: BatchResult
  /** Messages that the result settles. */
  handled: Decoded[]
  /** Messages that need another call, because of `cause`. */
  left: Decoded[]
  cause: Error
  /** The outage behind `cause`. */
  outage?: StoreUnavailable | undefined
}

const NO_CAUSE = new Error('the call left nothing')

async function callOnce(runtime: BatchRuntime, batch: Decoded[]): Promise<Called> {
  const { definition, outages, leaving, log } = runtime
  const messages = batch.map(({ message }) => message)
  let result: BatchResult
  try {
    const returned = await callInTime(runtime, signal => definition.handler(messages, { log, signal }))
    result = checkResult(returned, messages)
  } catch (error) {
    const cause = readableError(error)
    const outage = leaving.aborted ? undefined : await findOutage(outages.stores, cause)
    return { handled: [], left: batch, cause, outage }
  }
  if (!result.failed?.length) return { result, handled: batch, left: [], cause: NO_CAUSE }
  const { ids, outage } = await failedByOutage(runtime, result.failed)
  if (!outage) return { result, handled: batch, left: [], cause: NO_CAUSE }
  return {
    result,
    handled: batch.filter(({ message }) => !ids.has(message.id)),
    left: batch.filter(({ message }) => ids.has(message.id)),
    cause: outage,
    outage
  }
}

/** Finds the messages in `failed` whose cause is an outage, and the outage. */
async function failedByOutage(
  { outages }: BatchRuntime,
  failed: NonNullable<BatchResult['failed']>
): Promise<{ ids: ReadonlySet<string>; outage: StoreUnavailable | undefined }> {
  const ids = new Set<string>()
  let outage: StoreUnavailable | undefined
  // Checks each store once, even when many messages failed.
  const available = new Set<StoreName>()
  for (const { message, cause } of failed) {
    const found = findStoreError(cause)
    if (!found) continue
    const { store } = found.error
    const known = outage?.store === store ? outage : undefined
    const refused = found.error instanceof StoreRefused && found.checked ? found.error : undefined
    const own =
      refused ?? known ?? (available.has(store) ? undefined : await findOutage(outages.stores, cause))
    if (!own) available.add(store)
    else ids.add(message.id)
    outage ??= own
  }
  return { ids, outage }
}
