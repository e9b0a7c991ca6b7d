/**
 * Runs `work` once for all callers that come while it runs. All callers get the same result or the same error. The run
 * may have begun before a caller came.
 */
export function singleFlight<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}
