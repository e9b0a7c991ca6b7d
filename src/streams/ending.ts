import type { FastifyBaseLogger } from 'fastify'
import { asError } from '../as-error.ts'
import type { BatchCounts, BatchRunner } from './batch-runner.ts'
import type { Decoded, Delivery } from './delivery.ts'
import { countsOf, isFinal, toDeadLetter, toRetry } from './failure.ts'
import type { BatchResult, KeyWrite, OutgoingEvent } from './function.ts'
import type { Counter, Outcome, Settlement } from './settlement.ts'
import { withTimeout } from './timeout.ts'

/** A message, and why it failed. */
export interface Failure {
  decoded: Decoded
  cause: Error
}

/** What ends a message in hand. */
type DeliverySettlement = Settlement & { delivery: Delivery }

/** Settles messages that are done, with what the handler said is to be written and told. */
export async function settleDone(
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

/** Sends failed messages to their next attempt, or to the dead letters once the function was told and has had its say. */
export async function settleFailures(
  runner: BatchRunner,
  failures: Failure[],
  counts: BatchCounts
): Promise<void> {
  if (failures.length === 0) return
  const { definition } = runner
  const final = failures.filter(({ decoded, cause }) => isFinal(decoded, cause, definition))
  const told = await tell(runner, final)
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
  const given = toSettlements([...dead.keys()], told ?? {}, decoded => {
    const cause = dead.get(decoded) as Error
    return { outcome: toDeadLetter(decoded, cause), counts: countsOf(definition, decoded, 'dead', cause) }
  })
  counts.retried += await settle(runner, again, counts)
  counts.dead += await settle(runner, given, counts)
  for (const { decoded, cause } of retried) report(runner.log, decoded, cause, false)
  for (const [decoded, cause] of dead) report(runner.log, decoded, cause, true)
  await settleDone(runner, done, told ?? {}, counts)
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
 * Tells the function of its dead letters; undefined when it could not take note, and they must be tried again. One that
 * it fails to take note of time and again becomes a dead letter untold.
 */
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
  for (const { delivery } of batch) inHand.delete(delivery)
}

/**
 * Settles, whatever it takes of waiting for Redis; gives how many this consumer still owned. None is in hand any more,
 * though others of its batch may be for long.
 */
async function settle(
  { member, outages, inHand, log }: BatchRunner,
  settlements: DeliverySettlement[],
  counts: BatchCounts
): Promise<number> {
  if (settlements.length === 0) return 0
  try {
    const settled = await outages.ride(() => member.settle(settlements))
    counts.left += settlements.length - settled
    return settled
  } catch (error) {
    log.warn(
      { err: error, messages: settlements.length },
      'messages were processed but not settled; they come again'
    )
    counts.left += settlements.length
    return 0
  } finally {
    for (const { delivery } of settlements) inHand.delete(delivery)
  }
}

/** Puts together what ends each message: its outcome, and the keys and events that the function said of it. */
function toSettlements(
  batch: Decoded[],
  { writes = [], events = [] }: BatchResult,
  end: (decoded: Decoded) => { outcome: Outcome; counts: [Counter, number][] }
): DeliverySettlement[] {
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
