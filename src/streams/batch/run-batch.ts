import type { Delivery } from '../group/delivery.ts'
import { type HandlerOutcome, handle } from './handle.ts'
import { notifyDead } from './notify-dead.ts'
import { reportRetries } from './report-retries.ts'
import type { BatchRuntime } from './runtime.ts'
import { type Refusal, settle, type Tally } from './settle.ts'
import { triage } from './triage.ts'
import { afterRefusal, isNotified, type Verdict, verdictsOf } from './verdicts.ts'

/** The outcome of a batch. */
export interface BatchTally extends Tally {
  /** Messages that could not be read. */
  corrupt: number
}

/**
 * Processes one batch, from its deliveries to its settlement. Each step is one file, and data flows one way:
 *
 *     deliveries
 *        |  decode.ts       delivery -> message, or its fault
 *        |  triage.ts       -> for the handler | a verdict at once: done, retry, dead, released
 *        |  handle.ts       -> outcomes, each as soon as it is known: returned, failed, timed out, released
 *        |  verdicts.ts     -> one verdict a message: done, retry, dead, released
 *        |  notify-dead.ts  dead verdicts go through `onDead`, which may change them
 *        |  report-retries.ts  retries go to `onRetry`, which changes nothing
 *        v  settle.ts       one call to Redis, a tally and the log
 *
 * When Redis refuses to write a key of a message, the message is not settled. It then gets a new verdict, as a failure.
 */
export async function runBatch(runtime: BatchRuntime, deliveries: Delivery[]): Promise<BatchTally> {
  const { definition } = runtime
  const tally: BatchTally = { done: 0, retried: 0, dead: 0, left: 0, corrupt: 0 }
  for (const { corrupt } of deliveries) if (corrupt) tally.corrupt++

  const { ready, verdicts } = triage(deliveries.map(runtime.decode), definition)
  await settleAll(runtime, verdicts, tally)
  if (ready.length > 0)
    for await (const outcome of handle(runtime, ready)) await settleOutcome(runtime, outcome, tally)
  return tally
}

/**
 * Settles an outcome of the handler. When the runtime fails after the handler has returned, the handler must not run
 * again: this process keeps the messages in flight until it exits.
 */
async function settleOutcome(runtime: BatchRuntime, outcome: HandlerOutcome, tally: Tally): Promise<void> {
  const { definition, inFlight, kept, log } = runtime
  try {
    await settleAll(runtime, verdictsOf(outcome, definition), tally)
  } catch (error) {
    if (outcome.kind !== 'returned') throw error
    const open = outcome.batch.map(({ delivery }) => delivery).filter(delivery => inFlight.has(delivery))
    for (const delivery of open) kept.add(delivery)
    tally.left += open.length
    const line = { err: error, message_ids: open.map(({ id }) => id) }
    log.error(line, 'messages handled but not settled, after a fault of the runtime: this process keeps them')
  }
}

/** Settles verdicts. Then settles the new verdicts of messages that Redis refused. */
async function settleAll(runtime: BatchRuntime, verdicts: Verdict[], tally: Tally): Promise<void> {
  for (let open = verdicts; open.length > 0; ) {
    const refused: Refusal[] = []
    for await (const ready of notifyDead(runtime, open)) {
      await reportRetries(runtime, ready)
      const result = await settle(runtime, ready)
      refused.push(...result.refused)
      for (const outcome of OUTCOMES) tally[outcome] += result.tally[outcome]
    }
    open = refused.map(({ verdict, cause }) => afterRefusal(verdict, cause, runtime.definition))
    for (const { verdict, cause } of refused) reportRefusal(runtime, verdict, cause)
  }
}

const OUTCOMES = ['done', 'retried', 'dead', 'left'] as const

function reportRefusal({ log }: BatchRuntime, verdict: Verdict, cause: Error): void {
  if (!isNotified(verdict)) return
  log.error(
    { err: cause, message_id: verdict.decoded.message.id },
    'what onDead returned could not be written: the message is dead-lettered without it'
  )
}
