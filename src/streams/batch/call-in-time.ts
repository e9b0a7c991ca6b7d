import { HandlerTimeout } from '../outage/handler-timeout.ts'
import type { BatchRuntime } from './runtime.ts'

/**
 * Calls the function, and waits for it until its timeout is over or the worker leaves. Then it aborts the call's signal
 * and ignores the call's outcome. A call that has run out of time holds its slot until it ends.
 * @throws {HandlerTimeout} or the reason why the worker leaves. Does not call the function when the worker leaves already.
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
