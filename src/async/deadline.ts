/** A limit on how long a caller waits. */
export interface Deadline<T> {
  /** The time to wait, in milliseconds. */
  after: number
  /** Returns the outcome, or throws, once that time is over. */
  late: () => T | Promise<T>
}

/**
 * Waits for `work`, but no longer than the deadline. Late work continues, and its outcome is ignored. A single command
 * or statement uses the limit of its driver instead: only the driver knows when it begins, and it needs no extra
 * promise.
 * @throws what `work` rejects with, or what `late` throws.
 */
export async function withDeadline<T>(work: Promise<T>, { after, late }: Deadline<T>): Promise<T> {
  const { promise: expired, resolve } = Promise.withResolvers<T>()
  const timer = setTimeout(() => resolve(Promise.try(late)), after)
  try {
    return await Promise.race([work, expired])
  } finally {
    clearTimeout(timer)
  }
}
