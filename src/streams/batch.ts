import { asError } from '../as-error.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import type { BatchCounts, BatchRunner } from './batch-runner.ts'
import { checkResult } from './check-result.ts'
import { type Decoded, type Delivery, UnknownVersion } from './delivery.ts'
import { type Failure, giveBack, settleDone, settleFailures } from './ending.ts'
import { crashed } from './failure.ts'
import type { BatchResult, ResolvedFunction } from './function.ts'
import { isOutage } from './outage.ts'
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
  const [first] = batch
  if (!first) return
  for (let broken = 0; ; ) {
    try {
      const result = await callHandler(runner, batch)
      wait.end()
      return await settleAll(runner, batch, result, counts)
    } catch (error) {
      if (runner.leaving.aborted) {
        wait.end()
        return giveBack(runner, batch, runner.lease(), counts)
      }
      const cause = asError(error)
      if (cause instanceof StoreUnavailable) {
        if (await isOutage(runner.outages, cause)) {
          if (!(await wait.pause(cause))) {
            wait.end()
            return giveBack(runner, batch, runner.lease(), counts)
          }
          if (batch.length === 1) continue
          await run(runner, [first], counts, wait)
          return run(runner, batch.slice(1), counts)
        }
        // A connection that broke says nothing of the messages.
        if (++broken < TRIES) continue
      }
      wait.end()
      if (batch.length === 1) return settleFailures(runner, [{ decoded: first, cause }], counts)
      const half = Math.ceil(batch.length / 2)
      runner.log.warn({ err: cause, messages: batch.length }, 'batch failed and is split in two')
      await run(runner, batch.slice(0, half), counts)
      return run(runner, batch.slice(half), counts)
    }
  }
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
