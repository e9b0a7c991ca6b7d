import { asError } from '../../async/as-error.ts'
import { type StoreName, StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import { outageOf, storeErrorIn, type Wait } from '../consume/outages.ts'
import type { BatchResult, ResolvedFunction } from '../function.ts'
import { type Decoded, type Delivery, UnknownVersion } from '../group/delivery.ts'
import type { BatchCounts, BatchRunner } from './batch-runner.ts'
import { checkResult } from './check-result.ts'
import { type Failure, giveBack, settleDone, settleFailures } from './ending.ts'
import { crashed } from './failure.ts'
import { withTimeout } from './timeout.ts'

/** How often a batch is tried while the store answers its ping and yet gives the handler no answer. */
const TRIES = 3

/**
 * Takes one batch from its deliveries to its settlement:
 *
 *     deliveries -> decode -> handler --returns--> settle: done, retry later, or dead letter
 *                                |  \--throws-----> split in two, each half again, until the culprit stands alone
 *                                |\--store away---> wait for it, then probe with one message, then the rest
 *                                 \--worker leaves-> given back, untried
 */
export async function runBatch(runner: BatchRunner, deliveries: Delivery[]): Promise<BatchCounts> {
  const counts: BatchCounts = { done: 0, retried: 0, dead: 0, left: 0, corrupt: 0 }
  const { definition } = runner
  const ready: Decoded[] = []
  const failures: Failure[] = []
  const unwanted: Decoded[] = []
  const foreign: Decoded[] = []
  for (const delivery of deliveries) {
    const decoded = runner.decode(delivery)
    if (delivery.corrupt) counts.corrupt++
    const verdict = decoded.fault ?? crashed(delivery, definition) ?? wants(definition, decoded)
    if (verdict instanceof UnknownVersion) {
      runner.foreign(delivery.record.v)
      foreign.push(decoded)
    } else if (verdict instanceof Error) failures.push({ decoded, cause: verdict })
    else if (verdict) ready.push(decoded)
    else unwanted.push(decoded)
  }
  await giveBack(runner, foreign, runner.lease(), counts, 'others')
  await settleDone(runner, unwanted, {}, counts)
  await settleFailures(runner, failures, counts)
  await run(runner, ready, counts)
  return counts
}

/** Whether a function wants a message, or why it could not tell: a filter that throws fails that one message. */
function wants({ filter }: ResolvedFunction, { message }: Decoded): boolean | Error {
  try {
    return !filter || filter(message.body)
  } catch (error) {
    return asError(error)
  }
}

/** `wait` is that of a batch which this one probes for, so that the pauses go on growing. */
async function run(
  runner: BatchRunner,
  batch: Decoded[],
  counts: BatchCounts,
  wait = runner.outages.wait()
): Promise<void> {
  let open = batch
  for (let broken = 0; open.length > 0; ) {
    const left = await tryOnce(runner, open, counts, wait)
    if (!left) return
    const { cause, outage } = left
    open = left.batch
    if (runner.leaving.aborted || (outage && !(await wait.pause(outage)))) {
      wait.end()
      return giveBack(runner, open, runner.lease(), counts)
    }
    if (outage) {
      if (open.length === 1) continue
      await run(runner, open.slice(0, 1), counts, wait)
      return run(runner, open.slice(1), counts)
    }
    // A connection that broke says nothing of the messages.
    if (storeErrorIn(cause) instanceof StoreUnavailable && ++broken < TRIES) continue
    wait.end()
    return split(runner, open, cause, counts)
  }
}

/** Messages that a call of the handler has not ended: with the outage that it met, or else for that cause. */
interface Left {
  batch: Decoded[]
  cause: Error
  outage?: StoreUnavailable | undefined
}

/** Calls the handler once and settles what it has ended; undefined when that is all. */
async function tryOnce(
  runner: BatchRunner,
  batch: Decoded[],
  counts: BatchCounts,
  wait: Wait
): Promise<Left | undefined> {
  let result: BatchResult
  try {
    result = await callHandler(runner, batch)
  } catch (error) {
    const cause = asError(error)
    const outage = runner.leaving.aborted ? undefined : await outageOf(runner.outages, cause)
    return { batch, cause, outage }
  }
  const left = await heldUp(runner, batch, result)
  if (!left) wait.end()
  const ended = left ? batch.filter(decoded => !left.batch.includes(decoded)) : batch
  await settleAll(runner, ended, result, counts)
  return left
}

/** The messages that failed, as the handler says, with an error of a store that has an outage. */
async function heldUp(
  { outages }: BatchRunner,
  batch: Decoded[],
  { failed = [] }: BatchResult
): Promise<Left | undefined> {
  const ids = new Set<string>()
  let outage: StoreUnavailable | undefined
  const fine = new Set<StoreName>()
  for (const { message, cause } of failed) {
    const found = storeErrorIn(cause)
    if (!found) continue
    const known = found instanceof StoreRefused ? found : outage?.store === found.store ? outage : undefined
    const own = known ?? (fine.has(found.store) ? undefined : await outageOf(outages, found))
    if (!own) fine.add(found.store)
    else ids.add(message.id)
    outage ??= own
  }
  if (!outage) return undefined
  return { batch: batch.filter(({ message }) => ids.has(message.id)), cause: outage, outage }
}

async function split(
  runner: BatchRunner,
  batch: Decoded[],
  cause: Error,
  counts: BatchCounts
): Promise<void> {
  const [first] = batch as [Decoded]
  if (batch.length === 1) return settleFailures(runner, [{ decoded: first, cause }], counts)
  const half = Math.ceil(batch.length / 2)
  runner.log.warn({ err: cause, messages: batch.length }, 'batch failed and is split in two')
  await run(runner, batch.slice(0, half), counts)
  return run(runner, batch.slice(half), counts)
}

/** Settles a batch that went through its handler: what is done, and what the handler said has failed. */
async function settleAll(
  runner: BatchRunner,
  batch: Decoded[],
  result: BatchResult,
  counts: BatchCounts
): Promise<void> {
  const failed = new Map(result.failed?.map(({ message, cause }) => [message.id, asError(cause)]))
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
  await settleFailures(runner, failures, counts)
}

async function callHandler(
  { definition, leaving, log }: BatchRunner,
  batch: Decoded[]
): Promise<BatchResult> {
  const messages = batch.map(({ message }) => message)
  const result = await withTimeout(definition, leaving, signal =>
    definition.handler(messages, { log, signal })
  )
  return checkResult(result, messages)
}
