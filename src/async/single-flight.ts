/**
 * Runs `work` once for all callers that ask while it runs. They share its result or its error. The run may have begun
 * before they asked.
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
