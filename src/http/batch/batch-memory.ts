/** The most text that the batches of one process hold (characters). */
const MOST_HELD = 32 * 1024 * 1024

/**
 * Counts the text that all batches of a process hold: the orders in flight, and the results that their clients have not
 * read. In flight, an order takes several times its text.
 */
export class BatchMemory {
  readonly #most: number
  readonly #waiting = new Set<() => void>()
  #held = 0

  constructor(most = MOST_HELD) {
    this.#most = most
  }

  /** The text that all batches hold now (characters). */
  get held(): number {
    return this.#held
  }

  /** Counts that a batch holds so much more text, or less when it is negative. */
  add(length: number): void {
    this.#held += length
    if (this.#waiting.size === 0 || this.#held >= this.#most) return
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Returns whether the batches may hold more text. If not, calls `wake` as soon as they may. */
  hasRoom(wake: () => void): boolean {
    const hasRoom = this.#held < this.#most
    if (!hasRoom) this.#waiting.add(wake)
    return hasRoom
  }
}
