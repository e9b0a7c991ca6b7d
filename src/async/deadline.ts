/** A limit on how long a caller waits. */
export interface Deadline<T> {
  /** The time to wait, in milliseconds. */
  after: number
  /** Runs when the time is over. Returns the outcome, or throws. */
  late: () => T | Promise<T>
}

/**
 * Waits for `work`, but no longer than the deadline. Late work continues, and its outcome is ignored. For a single
 * command or statement, use the limit of the driver instead. The driver knows when the command begins, and needs no
 * extra promise.
 * @throws the error of `work`, or the error of `late`.
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
