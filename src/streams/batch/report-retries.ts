import { callInTime } from './call-in-time.ts'
import { readableError } from './readable-error.ts'
import type { BatchRuntime } from './runtime.ts'
import type { Verdict } from './verdicts.ts'

/**
 * Calls `onRetry` with the messages that have used an attempt and are tried again, unless a call that has run out of time
 * still runs. Logs an error of `onRetry`, because a retry does not depend on its report.
 */
export async function reportRetries(runtime: BatchRuntime, verdicts: Verdict[]): Promise<void> {
  const { definition, leaving, slot, log } = runtime
  const { onRetry } = definition
  if (!onRetry) return
  const failed = verdicts.flatMap(verdict =>
    verdict.kind === 'retry' && !verdict.alone
      ? [{ message: verdict.decoded.message, cause: verdict.cause }]
      : []
  )
  if (failed.length === 0 || leaving.aborted || slot.isHeld()) return
  try {
    await callInTime(runtime, async signal => onRetry(failed, { log, signal }))
  } catch (error) {
    log.error({ err: readableError(error), messages: failed.length }, 'onRetry failed')
  }
}
