import type { Failure } from '../../schema/http/order.ts'
import { codeOf, TerminalError } from '../streams/function.ts'

/** How often an order is tried, and the pauses between attempts (ms): random up to base × 2^n, at most max. */
export const ORDER_RETRY = { attempts: 8, base: 200, max: 30_000 }

/** Why an order failed, as its document says. What an error says that nobody foresaw is for the log. */
export function failureOf(cause: Error): Failure {
  const detail =
    cause instanceof TerminalError
      ? cause.message.slice(0, 1000)
      : 'It could not be processed. The log has the reason under its request id.'
  return { code: codeOf(cause), detail }
}
