import { StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import { isRedisAnswer } from '../../stores/server-answer.ts'
import { codeOf, type MessageEnd, type ResolvedFunction } from '../function.ts'
import { aloneOutcome, deadOutcome, retryOutcome } from '../group/outcomes.ts'
import { type Outcome, type Settled, type Settlement, sizeOf } from '../group/settlement.ts'
import { CALL_BYTES, partsOf } from '../limits.ts'
import { type Decoded, UnusableMessage } from './decode.ts'
import type { BatchRuntime } from './runtime.ts'
import type { Verdict } from './verdicts.ts'

/** The number of messages by outcome. Messages that are `left` were not settled and are delivered again later. */
export interface Tally {
  done: number
  retried: number
  dead: number
  left: number
}

/** A verdict that could not be settled, because Redis refused to write a key of the message. */
export interface Refusal {
  verdict: Verdict
  cause: Error
}

/** The result of settling verdicts. */
export interface SettleResult {
  tally: Tally
  refused: Refusal[]
}

type Settleable = Exclude<Verdict, { kind: 'released' }>

/**
 * Settles verdicts in one call to Redis, or in several calls when they are large. Waits while Redis is unavailable.
 * Releases the messages with the verdict `released`, and logs the settled messages. Only refused messages are still in
 * flight afterwards.
 */
export async function settle(runtime: BatchRuntime, verdicts: Verdict[]): Promise<SettleResult> {
  const result: SettleResult = { tally: { done: 0, retried: 0, dead: 0, left: 0 }, refused: [] }
  result.tally.left += await releaseAll(runtime, verdicts)
  const settlements: (Settlement & { verdict: Settleable })[] = []
  for (const verdict of verdicts)
    if (verdict.kind !== 'released') settlements.push(toSettlement(verdict, runtime.definition))
  for (const part of partsOf(settlements, CALL_BYTES, sizeOf)) await settlePart(runtime, part, result)
  return result
}

async function settlePart(
  { member, outages, inFlight, log }: BatchRuntime,
  part: (Settlement & { verdict: Settleable })[],
  { tally, refused }: SettleResult
): Promise<void> {
  const settled: Settleable[] = []
  let answer: Settled
  try {
    answer = await outages.repeat(() => member.settle(part).catch(asRefusal))
  } catch (error) {
    log.warn({ err: error, messages: part.length }, 'messages handled but not settled: they come again')
    tally.left += part.length
    for (const { verdict } of part) inFlight.delete(verdict.decoded.delivery)
    return
  }
  for (const [position, { verdict }] of part.entries()) {
    const cause = answer.refused.get(position)
    if (cause) {
      refused.push({ verdict, cause })
      continue
    }
    inFlight.delete(verdict.decoded.delivery)
    if (answer.lost.has(position)) tally.left++
    else settled.push(verdict)
  }
  report(settled, tally, log)
}

/**
 * Throws an unexpected error reply of Redis as a refusal, so that the caller waits and repeats the settlement. The
 * handler has done its work and must not run again.
 */
function asRefusal(error: unknown): never {
  throw isRedisAnswer(error) && !(error instanceof StoreUnavailable)
    ? new StoreRefused('redis', error)
    : error
}

/** Counts and logs what was settled. */
function report(settled: Settleable[], tally: Tally, log: BatchRuntime['log']): void {
  const requestIds: string[] = []
  for (const verdict of settled) {
    const { message } = verdict.decoded
    if (verdict.kind === 'done') {
      tally.done++
      requestIds.push(message.requestId)
      continue
    }
    const { cause: err } = verdict
    const line = { err, message_id: message.id, request_id: message.requestId, attempt: message.attempt }
    if (verdict.kind === 'dead') {
      tally.dead++
      log.error(line, 'message is a dead letter')
    } else {
      tally.retried++
      log.warn(line, 'message failed and is tried again')
    }
  }
  if (requestIds.length > 0)
    log.info({ messages: requestIds.length, request_ids: requestIds }, 'batch settled')
}

/** Releases messages, so that another worker can take them at once. Returns how many messages it released. */
async function releaseAll(runtime: BatchRuntime, verdicts: Verdict[]): Promise<number> {
  const { member, inFlight, lease, log, reportUnknownVersion } = runtime
  let count = 0
  for (const to of ['anyone', 'others'] as const) {
    const deliveries = verdicts.flatMap(verdict =>
      verdict.kind === 'released' && verdict.to === to ? [verdict.decoded.delivery] : []
    )
    if (deliveries.length === 0) continue
    // When this fails, another worker takes the message over after a lease, which counts as one more delivery.
    await member
      .release(deliveries, lease(), to)
      .catch(error => log.warn({ err: error, messages: deliveries.length }, 'messages could not be released'))
    for (const delivery of deliveries) {
      inFlight.delete(delivery)
      if (to === 'others') reportUnknownVersion(delivery.record.v)
    }
    count += deliveries.length
  }
  return count
}

function toSettlement(verdict: Settleable, definition: ResolvedFunction) {
  const { decoded } = verdict
  const { writes, events } = verdict.kind === 'retry' ? NOTHING : verdict.extras
  return {
    verdict,
    delivery: decoded.delivery,
    outcome: outcomeOf(verdict, definition),
    counts: countsOf(verdict, definition),
    writes,
    events
  }
}

const NOTHING = { writes: [], events: [] }
const DONE: Outcome = { kind: 'done' }

function outcomeOf(verdict: Settleable, { retry }: ResolvedFunction): Outcome {
  const { delivery, fault } = verdict.decoded
  if (verdict.kind === 'done') return DONE
  if (verdict.kind === 'dead') return deadOutcome(delivery, verdict.cause, fault instanceof UnusableMessage)
  return verdict.alone ? aloneOutcome(delivery) : retryOutcome(delivery, retry)
}

const NO_COUNTS: Settlement['counts'] = []

/**
 * Returns the changes of counters for a verdict, as the function's `counters` defines them. A retry changes no counter.
 */
function countsOf(verdict: Settleable, { counters }: ResolvedFunction): Settlement['counts'] {
  if (!counters || verdict.kind === 'retry') return NO_COUNTS
  return counters(endOf(verdict.decoded, verdict))
}

function endOf({ delivery }: Decoded, verdict: Exclude<Settleable, { kind: 'retry' }>): MessageEnd {
  const { redriven, data } = delivery.record
  const bytes = Buffer.byteLength(data)
  if (verdict.kind === 'dead') return { kind: 'dead', code: codeOf(verdict.cause), redriven, bytes }
  return { kind: verdict.duplicate ? 'duplicate' : 'done', code: '', redriven, bytes }
}
