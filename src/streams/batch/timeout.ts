import type { ResolvedFunction } from '../function.ts'

/** The handler did not finish within the function's timeout. */
export class HandlerTimeout extends Error {
  override name = 'HandlerTimeout'
}

/**
 * Runs a handler for as long as its function may take, or until `leaving` is aborted; after that its signal is aborted
 * and its outcome is of no interest any more.
 * @throws {HandlerTimeout} and the reason of `leaving`, without calling the handler when it is aborted already.
 */
export async function withTimeout<T>(
  { name, timeout }: ResolvedFunction,
  leaving: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  leaving.throwIfAborted()
  const expired = new AbortController()
  const { promise: expiry, reject } = Promise.withResolvers<never>()
  const cut = (error: Error) => {
    expired.abort(error)
    reject(error)
  }
  const leave = () => cut(leaving.reason)
  const timer = setTimeout(
    () => cut(new HandlerTimeout(`${name} did not finish within ${timeout} ms`)),
    timeout
  )
  leaving.addEventListener('abort', leave)
  try {
    return await Promise.race([work(expired.signal), expiry])
  } finally {
    clearTimeout(timer)
    leaving.removeEventListener('abort', leave)
  }
}
