import type { Failure } from '../../schema/http/order.ts'
import { codeOf, TerminalError } from '../streams/function.ts'

/** Attempts at an order, and the pauses between them (ms): random up to base × 2^n, at most max. */
export const ORDER_RETRY = { attempts: 8, base: 200, max: 30_000 }

/** The failure that an order's document shows. Only the log has the message of an unexpected error: it may hold a secret. */
export function failureOf(cause: Error): Failure {
  const detail =
    cause instanceof TerminalError
      ? cause.message.slice(0, 1000)
      : 'It could not be processed. The log has the reason under its request id.'
  return { code: codeOf(cause), detail }
}
