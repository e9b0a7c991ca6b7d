import type { ResolvedFunction } from './function.ts'

/** The handler did not finish within the function's timeout. */
class HandlerTimeout extends Error {
  override name = 'HandlerTimeout'
}

/**
 * Runs a handler for as long as its function may take; after that its signal is aborted and its outcome is of no
 * interest any more.
 * @throws {HandlerTimeout}
 */
export async function withTimeout<T>(
  { name, timeout }: ResolvedFunction,
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const expired = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new HandlerTimeout(`${name} did not finish within ${timeout} ms`)
      expired.abort(error)
      reject(error)
    }, timeout)
  })
  try {
    return await Promise.race([work(expired.signal), expiry])
  } finally {
    clearTimeout(timer)
  }
}
