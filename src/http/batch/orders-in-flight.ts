/** The most orders of one batch that are in flight, or whose results wait for the result of an earlier order. */
const MOST_ORDERS = 1024

/**
 * The most text of such orders and results (characters). The first order over it still fits. In flight, an order takes
 * several times its text.
 */
const MOST_TEXT = 1024 * 1024

/** The orders of one batch that are in flight. Returns their results in the order of the batch. */
export class OrdersInFlight {
  /** The index of the next order, and the index of the next result. */
  #next = 0
  #done = 0
  /** The results that wait for an earlier one. Each order has the place of its index modulo MOST_ORDERS. */
  readonly #results: (string | undefined)[] = new Array(MOST_ORDERS).fill(undefined)
  /** The lengths of the texts of orders in flight, and of the results that wait. */
  readonly #lengths = new Int32Array(MOST_ORDERS)
  #length = 0

  /** The length of these texts (characters). */
  get length(): number {
    return this.#length
  }

  get isEmpty(): boolean {
    return this.#next === this.#done
  }

  /** Whether a further order may begin. */
  get hasRoom(): boolean {
    return this.#next - this.#done < MOST_ORDERS && this.#length < MOST_TEXT
  }

  /** How often an order has begun or its result was taken. */
  get moves(): number {
    return this.#next + this.#done
  }

  /** Begins the next order. Returns its index in the batch. */
  begin(): number {
    return this.#next++
  }

  /** Counts the length of the text of an order (characters). */
  hold(index: number, length: number): void {
    const place = index % MOST_ORDERS
    this.#length += length - (this.#lengths[place] as number)
    this.#lengths[place] = length
  }

  /** Records the result of an order. */
  finish(index: number, result: string): void {
    this.hold(index, result.length)
    this.#results[index % MOST_ORDERS] = result
  }

  /** Takes the results up to the first one that is missing. */
  takeResults(): string[] {
    const taken: string[] = []
    for (;;) {
      const place = this.#done % MOST_ORDERS
      const result = this.#results[place]
      if (result === undefined) return taken
      this.#results[place] = undefined
      this.hold(place, 0)
      taken.push(result)
      this.#done++
    }
  }
}
