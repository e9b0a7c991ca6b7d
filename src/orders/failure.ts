import type { Failure } from '../../schema/http/order.ts'
import { codeOf, TerminalError } from '../streams/function.ts'

/** The retries of an order. Each pause (ms) between attempts is random, up to base × 2^n, and at most max. */
export const ORDER_RETRY = { attempts: 8, base: 200, max: 30_000 }

/**
 * Returns the failure that an order's document shows. The message of an unexpected error is only in the log, because it
 * may contain a secret.
 */
export function failureOf(cause: Error): Failure {
  const detail =
    cause instanceof TerminalError
      ? cause.message.slice(0, 1000)
      : 'It could not be processed. The log has the reason under its request id.'
  return { code: codeOf(cause), detail }
}
