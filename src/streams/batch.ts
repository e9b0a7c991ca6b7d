import type { FastifyBaseLogger } from 'fastify'
import { StoreUnavailable } from '../stores/errors.ts'
import { type Decoded, type Delivery, SUSPECT_DELIVERIES, UnknownVersion } from './delivery.ts'
import { CrashedError, countsOf, isFinal, toDeadLetter, toRetry } from './failure.ts'
import type { BatchContext, BatchResult, KeyWrite, OutgoingEvent, ResolvedFunction } from './function.ts'
import type { GroupMember } from './group.ts'
import { isOutage, type Outages } from './outage.ts'
import type { Counter, Outcome, Settlement } from './settlement.ts'

export interface BatchRunner {
  definition: ResolvedFunction
  member: GroupMember
  decode: (delivery: Delivery) => Decoded
  outages: Outages
  log: FastifyBaseLogger
  /** Milliseconds. */
  lease: number
}

/** What became of the messages of a batch; `left` ones stay with their lease and come again. */
export interface BatchCounts {
  done: number
  retried: number
  dead: number
  left: number
}

/** The handler did not finish within the function's timeout. */
export class HandlerTimeout extends Error {
  override name = 'HandlerTimeout'
}

interface Failure {
  decoded: Decoded
  cause: Error
}

/**
 * Takes one batch from its deliveries to its settlement:
 *
 *     deliveries -> decode -> handler --returns--> settle: done, retry later, or dead letter
 *                                |  \--throws-----> split in two, each half again, until the culprit stands alone
 *                                 \--store away---> wait for it, then probe with one message, then the rest
 */
export async function runBatch(runner: BatchRunner, deliveries: Delivery[]): Promise<BatchCounts> {
  const counts: BatchCounts = { done: 0, retried: 0, dead: 0, left: 0 }
  const { definition, log } = runner
  const ready: Decoded[] = []
  const failures: Failure[] = []
  const unwanted: Decoded[] = []
  const foreign: Decoded[] = []
  for (const delivery of deliveries) {
    const decoded = runner.decode(delivery)
    const cause = decoded.fault ?? crashed(delivery, definition)
    if (cause instanceof UnknownVersion) {
      log.warn({ err: cause, message_id: delivery.id }, 'message is left to a newer worker')
      foreign.push(decoded)
    } else if (cause) failures.push({ decoded, cause })
    else if (definition.filter && !definition.filter(decoded.message.body)) unwanted.push(decoded)
    else ready.push(decoded)
  }
  await giveBack(runner, foreign, 0, counts)
  await settleDone(runner, unwanted, {}, counts)
  await settleFailures(runner, failures, counts)
  await run(runner, ready, counts)
  return counts
}

/** One message delivered in vain for three times runs alone, `attempts` times; then it is what kills its process. */
function crashed(delivery: Delivery, { retry }: ResolvedFunction): Error | undefined {
  const alone = delivery.deliveries - SUSPECT_DELIVERIES + 1
  return alone > retry.attempts ? new CrashedError(delivery.deliveries - 1) : undefined
}

async function run(runner: BatchRunner, batch: Decoded[], counts: BatchCounts): Promise<void> {
  const [first] = batch
  if (!first) return
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await callHandler(runner, batch)
      const failed = new Map(result.failed?.map(({ message, cause }) => [message.id, cause]))
      await settleDone(
        runner,
        batch.filter(({ message }) => !failed.has(message.id)),
        result,
        counts
      )
      const failures = batch.flatMap(decoded => {
        const cause = failed.get(decoded.message.id)
        return cause ? [{ decoded, cause }] : []
      })
      return settleFailures(runner, failures, counts)
    } catch (error) {
      const cause = error as Error
      if (await isOutage(runner.outages, cause)) {
        if (!(await runner.outages.pause(cause))) {
          return giveBack(runner, batch, runner.lease, counts)
        }
        if (batch.length === 1) continue
        await run(runner, [first], counts)
        return run(runner, batch.slice(1), counts)
      }
      // A connection that broke says nothing of the messages.
      if (cause instanceof StoreUnavailable && attempt < 3) continue
      if (batch.length === 1) return settleFailures(runner, [{ decoded: first, cause }], counts)
      const half = Math.ceil(batch.length / 2)
      runner.log.warn({ err: cause, messages: batch.length }, 'batch failed and is split in two')
      await run(runner, batch.slice(0, half), counts)
      return run(runner, batch.slice(half), counts)
    }
  }
}

async function callHandler({ definition, log }: BatchRunner, batch: Decoded[]): Promise<BatchResult> {
  const messages = batch.map(({ message }) => message)
  return (await withTimeout(definition, signal => definition.handler(messages, { log, signal }))) ?? {}
}

async function withTimeout<T>(
  { name, timeout }: ResolvedFunction,
  work: (signal: BatchContext['signal']) => Promise<T>
): Promise<T> {
  const expired = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new HandlerTimeout(`${name} did not finish within ${timeout} ms`)
      expired.abort(error)
      reject(error)
    }, timeout)
  })
  try {
    return await Promise.race([work(expired.signal), expiry])
  } finally {
    clearTimeout(timer)
  }
}

async function settleDone(
  runner: BatchRunner,
  batch: Decoded[],
  result: BatchResult,
  counts: BatchCounts
): Promise<void> {
  const duplicates = new Set(result.duplicates?.map(({ id }) => id))
  const settlements = toSettlements(batch, result, decoded => ({
    outcome: { kind: 'done' },
    counts: countsOf(runner.definition, decoded, duplicates.has(decoded.message.id) ? 'duplicate' : 'done')
  }))
  const settled = await settle(runner, settlements, counts)
  counts.done += settled
  if (settled > 0) {
    runner.log.info(
      { messages: settled, request_ids: batch.map(({ message }) => message.requestId) },
      'batch settled'
    )
  }
}

/** Sends failed messages to their next attempt, or to the dead letters once the function was told. */
async function settleFailures(runner: BatchRunner, failures: Failure[], counts: BatchCounts): Promise<void> {
  const { definition, log } = runner
  const final = failures.filter(({ decoded, cause }) => isFinal(decoded, cause, definition))
  const told = await tell(runner, final)
  const dead = told ? final : []
  const retried = failures.filter(failure => !dead.includes(failure))
  const causes = new Map(failures.map(({ decoded, cause }) => [decoded, cause]))

  const again = toSettlements(
    retried.map(({ decoded }) => decoded),
    {},
    decoded => ({ outcome: toRetry(decoded, definition), counts: [] })
  )
  const given = toSettlements(
    dead.map(({ decoded }) => decoded),
    told ?? {},
    decoded => {
      const cause = causes.get(decoded) as Error
      return { outcome: toDeadLetter(decoded, cause), counts: countsOf(definition, decoded, 'dead', cause) }
    }
  )
  counts.retried += await settle(runner, again, counts)
  counts.dead += await settle(runner, given, counts)
  for (const { decoded, cause } of failures) {
    const { message } = decoded
    const line = {
      err: cause,
      message_id: message.id,
      request_id: message.requestId,
      attempt: message.attempt
    }
    if (causes.has(decoded) && dead.some(letter => letter.decoded === decoded))
      log.error(line, 'message is a dead letter')
    else log.warn(line, 'message failed and is tried again')
  }
}

/** Tells the function of its dead letters; undefined when it could not take note, and they must be tried again. */
async function tell(
  { definition, outages, log }: BatchRunner,
  final: Failure[]
): Promise<BatchResult | undefined> {
  const { onDead } = definition
  if (final.length === 0 || !onDead) return {}
  const letters = final.map(({ decoded, cause }) => ({ message: decoded.message, cause }))
  try {
    return await outages.ride(() => withTimeout(definition, signal => onDead(letters, { log, signal })))
  } catch (error) {
    log.error({ err: error }, 'the function could not take note of its dead letters')
    return undefined
  }
}

/** Gives messages back untried, so that another worker can take them over, after `idle` ms of a lease or at once. */
async function giveBack(
  { member, log }: BatchRunner,
  batch: Decoded[],
  idle: number,
  counts: BatchCounts
): Promise<void> {
  if (batch.length === 0) return
  counts.left += batch.length
  // If this fails they are taken over all the same, a lease later and counted as delivered once more.
  await member
    .giveBack(
      batch.map(({ delivery }) => delivery),
      idle
    )
    .catch(error => log.warn({ err: error, messages: batch.length }, 'messages could not be given back'))
}

/** Settles, whatever it takes of waiting for Redis; gives how many this consumer still owned. */
async function settle(
  { member, outages, log }: BatchRunner,
  settlements: Settlement[],
  counts: BatchCounts
): Promise<number> {
  if (settlements.length === 0) return 0
  try {
    const settled = await outages.ride(() => member.settle(settlements))
    counts.left += settlements.length - settled.length
    return settled.length
  } catch (error) {
    log.warn(
      { err: error, messages: settlements.length },
      'messages were processed but not settled; they come again'
    )
    counts.left += settlements.length
    return 0
  }
}

/** Puts together what ends each message: its outcome, and the keys and events that the function said of it. */
function toSettlements(
  batch: Decoded[],
  { writes = [], events = [] }: BatchResult,
  end: (decoded: Decoded) => { outcome: Outcome; counts: [Counter, number][] }
): Settlement[] {
  const writesOf = Map.groupBy(writes, ({ message }: KeyWrite) => message.id)
  const eventsOf = Map.groupBy(events, ({ message }: OutgoingEvent) => message.id)
  return batch.map(decoded => ({
    delivery: decoded.delivery,
    ...end(decoded),
    writes: writesOf.get(decoded.message.id) ?? [],
    events: (eventsOf.get(decoded.message.id) ?? []).map(({ message, data, unless }) => ({
      data,
      unless,
      requestId: message.requestId,
      traceparent: message.traceparent
    }))
  }))
}
