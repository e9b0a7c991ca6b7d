import { HandlerTimeout } from '../outage/handler-timeout.ts'
import type { BatchRuntime } from './runtime.ts'

/**
 * Makes a call of the author's code, and waits until it returns, its timeout is over, or the worker can wait no longer
 * (`leaving`). In the last two cases, aborts the call's signal and ignores its result. A call that has run out of time
 * holds its slot until it returns. Makes no call when `leaving` is aborted already.
 * @throws {HandlerTimeout} when the call has run out of time. When `leaving` aborts, throws its reason.
 */
export async function callInTime<T>(
  { definition: { name, timeout }, leaving, slot }: BatchRuntime,
  call: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  leaving.throwIfAborted()
  const expired = new AbortController()
  const { promise: expiry, reject } = Promise.withResolvers<never>()
  const abort = (error: Error) => {
    expired.abort(error)
    reject(error)
  }
  const leave = () => abort(leaving.reason)
  let running: Promise<T> | undefined
  const timer = setTimeout(() => {
    abort(new HandlerTimeout(`${name} did not finish within ${timeout} ms`))
    if (running) slot.hold(running)
  }, timeout)
  leaving.addEventListener('abort', leave)
  try {
    running = call(expired.signal)
    return await Promise.race([running, expiry])
  } finally {
    clearTimeout(timer)
    leaving.removeEventListener('abort', leave)
  }
}
