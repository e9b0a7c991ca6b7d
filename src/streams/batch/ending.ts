import type { FastifyBaseLogger } from 'fastify'
import { asError } from '../../async/as-error.ts'
import type { BatchResult, KeyWrite, OutgoingEvent } from '../function.ts'
import { type Decoded, UnusableMessage } from '../group/delivery.ts'
import { type Counter, type Outcome, type Settlement, sizeOf } from '../group/settlement.ts'
import { CALL_BYTES, partsOf } from '../limits.ts'
import type { BatchCounts, BatchRunner } from './batch-runner.ts'
import { checkResult } from './check-result.ts'
import { countsOf, isBeyondTelling, isFinal, toDeadLetter, toRetry } from './failure.ts'
import { withTimeout } from './timeout.ts'

/** A message, and why it failed. */
export interface Failure {
  decoded: Decoded
  cause: Error
}

/** What ends a message in hand. */
type DecodedSettlement = Settlement & { decoded: Decoded }

/** Settles messages that are done, with what the handler said is to be written and told; what cannot be, has failed. */
export async function settleDone(
  runner: BatchRunner,
  batch: Decoded[],
  result: BatchResult,
  counts: BatchCounts
): Promise<void> {
  await settleFailures(runner, await endDone(runner, batch, result, counts), counts)
}

/** Settles messages that are done; gives those of which Redis refused to write a key. */
async function endDone(
  runner: BatchRunner,
  batch: Decoded[],
  result: BatchResult,
  counts: BatchCounts
): Promise<Failure[]> {
  const duplicates = new Set(result.duplicates?.map(({ id }) => id))
  const settlements = toSettlements(batch, result, decoded => ({
    outcome: { kind: 'done' },
    counts: countsOf(runner.definition, decoded, duplicates.has(decoded.message.id) ? 'duplicate' : 'done')
  }))
  const { settled, refused } = await settle(runner, settlements, counts)
  counts.done += settled
  if (settled > 0) {
    runner.log.info(
      { messages: settled, request_ids: batch.map(({ message }) => message.requestId) },
      'batch settled'
    )
  }
  return refused
}

/** Sends failed messages to their next attempt, or to the dead letters once the function was told and has had its say. */
export async function settleFailures(
  runner: BatchRunner,
  failures: Failure[],
  counts: BatchCounts
): Promise<void> {
  if (failures.length === 0) return
  const { definition } = runner
  const final = failures.filter(({ decoded, cause }) => isFinal(decoded, cause, definition))
  const told = await tell(
    runner,
    final.filter(({ decoded }) => !(decoded.fault instanceof UnusableMessage))
  )
  if (!told && runner.leaving.aborted) {
    const untold = final.map(({ decoded }) => decoded)
    await giveBack(runner, untold, runner.lease(), counts)
    const others = failures.filter(failure => !final.includes(failure))
    return settleFailures(runner, others, counts)
  }
  if (!told && failures.length > 1) {
    for (const failure of failures) await settleFailures(runner, [failure], counts)
    return
  }
  const ended = told ? final : []
  const { done, dead } = heed(ended, told ?? {})
  const retried = failures.filter(failure => !ended.includes(failure))

  const again = toSettlements(
    retried.map(({ decoded }) => decoded),
    {},
    decoded => ({ outcome: toRetry(decoded, definition), counts: [] })
  )
  counts.retried += (await settle(runner, again, counts)).settled
  for (const { decoded, cause } of retried) report(runner.log, decoded, cause, false)
  const unwritten = [
    ...(await bury(runner, dead, told ?? {}, counts)),
    ...(await endDone(runner, done, told ?? {}, counts))
  ]
  // The function has had its say, and would say the same again: they are dead letters without what it said.
  for (const { decoded, cause } of unwritten) {
    const line = { err: cause, message_id: decoded.message.id }
    runner.log.error(line, 'what the function said of its dead letter could not be written')
  }
  const causes = unwritten.map(({ decoded, cause }) => [decoded, dead.get(decoded) ?? cause] as const)
  await bury(runner, new Map(causes), {}, counts)
}

/** Makes dead letters of messages, with what the function said of them; gives those of which Redis refused a key. */
async function bury(
  runner: BatchRunner,
  dead: Map<Decoded, Error>,
  told: BatchResult,
  counts: BatchCounts
): Promise<Failure[]> {
  const { definition, log } = runner
  const settlements = toSettlements([...dead.keys()], told, decoded => {
    const cause = dead.get(decoded) as Error
    return { outcome: toDeadLetter(decoded, cause), counts: countsOf(definition, decoded, 'dead', cause) }
  })
  const { settled, refused } = await settle(runner, settlements, counts)
  counts.dead += settled
  for (const [decoded, cause] of dead)
    if (!refused.some(failure => failure.decoded === decoded)) report(log, decoded, cause, true)
  return refused
}

/** Sorts letters by what the function said of them: a duplicate is done, and a cause that it gives is the one. */
function heed(final: Failure[], { duplicates = [], failed = [] }: BatchResult) {
  const known = new Set(duplicates.map(({ id }) => id))
  const causes = new Map(failed.map(({ message, cause }) => [message.id, asError(cause)]))
  const done: Decoded[] = []
  const dead = new Map<Decoded, Error>()
  for (const { decoded, cause } of final) {
    const { id } = decoded.message
    if (known.has(id)) done.push(decoded)
    else dead.set(decoded, causes.get(id) ?? cause)
  }
  return { done, dead }
}

function report(log: FastifyBaseLogger, { message }: Decoded, cause: Error, dead: boolean): void {
  const line = { err: cause, message_id: message.id, request_id: message.requestId, attempt: message.attempt }
  if (dead) log.error(line, 'message is a dead letter')
  else log.warn(line, 'message failed and is tried again')
}

/**
 * Tells the function of its dead letters; undefined when it could not take note, and they must be tried again, or the
 * worker leaves. One that it fails to take note of time and again, or that kills its worker then as well, becomes a dead
 * letter untold.
 */
async function tell(
  { definition, outages, leaving, log }: BatchRunner,
  final: Failure[]
): Promise<BatchResult | undefined> {
  const { onDead } = definition
  if (final.length === 0 || !onDead) return {}
  if (final.every(({ decoded }) => isBeyondTelling(decoded.delivery, definition))) {
    log.error('the function is not told of a dead letter: it may be what kills the process then, too')
    return {}
  }
  const letters = final.map(({ decoded, cause }) => ({ message: decoded.message, cause }))
  try {
    const told = await outages.ride(() =>
      withTimeout(definition, leaving, signal => onDead(letters, { log, signal }))
    )
    return checkResult(
      told,
      letters.map(({ message }) => message)
    )
  } catch (error) {
    if (leaving.aborted) return undefined
    log.error({ err: error }, 'the function could not take note of its dead letters')
    const [first] = final
    return final.length === 1 && first && first.decoded.message.attempt >= 2 * definition.retry.attempts
      ? {}
      : undefined
  }
}

/** Gives messages back untried, so that another worker can take them over, after `idle` ms of a lease or at once. */
export async function giveBack(
  { member, inHand, log }: BatchRunner,
  batch: Decoded[],
  idle: number,
  counts: BatchCounts,
  to: 'anyone' | 'others' = 'anyone'
): Promise<void> {
  if (batch.length === 0) return
  counts.left += batch.length
  // If this fails they are taken over all the same, a lease later and counted as delivered once more.
  await member
    .giveBack(
      batch.map(({ delivery }) => delivery),
      idle,
      to
    )
    .catch(error => log.warn({ err: error, messages: batch.length }, 'messages could not be given back'))
  for (const { delivery } of batch) inHand.delete(delivery)
}

/**
 * Settles, whatever it takes of waiting for Redis, and in several calls when it is much; gives how many this consumer
 * still owned, and those of which Redis refused to write a key. None of the others is in hand any more, though some of
 * its batch may be for long.
 */
async function settle(
  runner: BatchRunner,
  settlements: DecodedSettlement[],
  counts: BatchCounts
): Promise<{ settled: number; refused: Failure[] }> {
  const all = { settled: 0, refused: [] as Failure[] }
  for (const part of partsOf(settlements, CALL_BYTES, sizeOf)) {
    const { settled, refused } = await settlePart(runner, part, counts)
    all.settled += settled
    all.refused.push(...refused)
  }
  return all
}

async function settlePart(
  { member, outages, inHand, log }: BatchRunner,
  settlements: DecodedSettlement[],
  counts: BatchCounts
): Promise<{ settled: number; refused: Failure[] }> {
  try {
    const { settled, refused } = await outages.ride(() => member.settle(settlements))
    counts.left += settlements.length - settled - refused.size
    const failures: Failure[] = []
    for (const [position, { decoded }] of settlements.entries()) {
      const cause = refused.get(position)
      if (cause) failures.push({ decoded, cause })
      else inHand.delete(decoded.delivery)
    }
    return { settled, refused: failures }
  } catch (error) {
    log.warn(
      { err: error, messages: settlements.length },
      'messages were processed but not settled; they come again'
    )
    counts.left += settlements.length
    for (const { decoded } of settlements) inHand.delete(decoded.delivery)
    return { settled: 0, refused: [] }
  }
}

/** Puts together what ends each message: its outcome, and the keys and events that the function said of it. */
function toSettlements(
  batch: Decoded[],
  { writes = [], events = [] }: BatchResult,
  end: (decoded: Decoded) => { outcome: Outcome; counts: [Counter, number][] }
): DecodedSettlement[] {
  const writesOf = Map.groupBy(writes, ({ message }: KeyWrite) => message.id)
  const eventsOf = Map.groupBy(events, ({ message }: OutgoingEvent) => message.id)
  return batch.map(decoded => ({
    decoded,
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
