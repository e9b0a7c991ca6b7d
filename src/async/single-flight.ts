/**
 * Does `work` once for all who ask while it is under way: what many want at once costs as much as what one wants. They
 * get what is found, or the error, of a run that may have begun before they asked.
 */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}
