import { SUSPECT_DELIVERIES } from '../group/delivery.ts'
import { callInTime } from './call-in-time.ts'
import { checkResult } from './check-result.ts'
import { UnusableMessage } from './decode.ts'
import { readableError } from './readable-error.ts'
import type { BatchRuntime } from './runtime.ts'
import { afterOnDead, type DeadVerdict, released, type Verdict } from './verdicts.ts'

/**
 * Calls `onDead` with messages that are to be dead-lettered, and yields verdicts as soon as they can be settled.
 * Verdicts that need no notification come first. When `onDead` fails for several messages, it is called for each
 * message alone. When `onDead` fails for a single message, the message is retried. After its last attempt, it is
 * dead-lettered without a result of `onDead`.
 */
export async function* notifyDead(runtime: BatchRuntime, verdicts: Verdict[]): AsyncGenerator<Verdict[]> {
  const { onDead } = runtime.definition
  const dead = onDead ? verdicts.filter(needsNotification) : []
  if (dead.length === 0) return yield verdicts
  if (dead.length < verdicts.length) yield verdicts.filter(verdict => !needsNotification(verdict))
  const notified = await notify(runtime, dead)
  if (notified) yield notified
  else if (dead.length === 1) yield dead.map(each => withoutNotification(runtime, each))
  else for (const each of dead) yield await notifyAlone(runtime, each)
}

function needsNotification(verdict: Verdict): verdict is DeadVerdict {
  return verdict.kind === 'dead' && !verdict.notified && !(verdict.decoded.fault instanceof UnusableMessage)
}

/** Returns the verdicts after `onDead`; undefined when `onDead` failed. */
async function notify(runtime: BatchRuntime, dead: DeadVerdict[]): Promise<Verdict[] | undefined> {
  const { definition, outages, leaving, log } = runtime
  const { onDead } = definition
  if (dead.every(verdict => mayKill(verdict, runtime))) {
    log.error('onDead is not called for a message that may have killed its process there, too')
    return dead.map(asNotified)
  }
  const messages = dead.map(({ decoded, cause }) => ({ message: decoded.message, cause }))
  try {
    const result = await outages.repeat(() =>
      callInTime(runtime, async signal => onDead?.(messages, { log, signal }))
    )
    return afterOnDead(
      dead,
      checkResult(
        result,
        messages.map(({ message }) => message)
      )
    )
  } catch (error) {
    if (leaving.aborted) return dead.map(({ decoded }) => released(decoded, 'anyone'))
    log.error({ err: readableError(error), messages: dead.length }, 'onDead failed')
    return undefined
  }
}

/** Calls `onDead` for one message, unless a call that has run out of time still runs. */
async function notifyAlone(runtime: BatchRuntime, dead: DeadVerdict): Promise<Verdict[]> {
  const notified = runtime.slot.isHeld() ? undefined : await notify(runtime, [dead])
  return notified ?? [withoutNotification(runtime, dead)]
}

/**
 * Returns the verdict of a message for which `onDead` failed: retry, until `onDead` has failed as often as the handler.
 */
function withoutNotification({ definition }: BatchRuntime, verdict: DeadVerdict): Verdict {
  const { decoded, cause } = verdict
  if (decoded.message.attempt >= 2 * definition.retry.attempts) return asNotified(verdict)
  return { kind: 'retry', decoded, cause, alone: false }
}

function asNotified(verdict: DeadVerdict): Verdict {
  return { ...verdict, notified: true }
}

/**
 * Returns whether `onDead` may kill its process: after its last attempt, the message had many deliveries without an
 * outcome.
 */
function mayKill({ decoded }: DeadVerdict, { definition: { retry } }: BatchRuntime): boolean {
  return decoded.delivery.deliveries >= SUSPECT_DELIVERIES + 2 * retry.attempts
}
