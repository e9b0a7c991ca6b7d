/** The backlog is full. No order is accepted until workers have processed some of the waiting orders. */
export class BacklogFull extends Error {
  override name = 'BacklogFull'
  /** The estimated time until orders are accepted again (s). */
  readonly retryAfter: number

  constructor(retryAfter: number) {
    super(`Too many orders are waiting to be processed. There should be room in ${retryAfter} s.`)
    this.retryAfter = retryAfter
  }
}

/** The part of the backlog that should be free when a client sends its order again. */
const HEADROOM = 0.1

/** The time over which the rate of settled orders is measured (ms). */
const WINDOW = 10_000

/** The longest wait of a client (s). */
const LONGEST_WAIT = 60
/** The wait of a client while the rate is unknown (s). */
const UNKNOWN_WAIT = 10

/** The number of orders of the epoch that were settled at a time (ms). */
interface Sample {
  at: number
  settled: number
}

/** Measures how many orders of one partition are settled per second, from the replies to accepts. */
export interface Backlog {
  /** Records the counts after an accept: the orders accepted in the epoch, and the messages that wait. */
  sample: (accepted: number, waiting: number) => void
  /** Returns the estimated time until orders are accepted again (s), at the measured rate; 1 to 60. */
  retryAfter: () => number
}

/** Creates the measurement for a partition. `cap` is the most messages that may wait in the partition. */
export function createBacklog(cap: number): Backlog {
  let samples: Sample[] = []
  let waiting = 0
  return {
    sample: (accepted, length) => {
      const at = performance.now()
      waiting = length
      const last = samples.at(-1)
      // A lower number is from a new epoch, so it cannot be compared with the older samples.
      if (last && accepted - length < last.settled) samples = []
      // Ten samples per window are enough.
      if (!last || at - last.at > WINDOW / 10) samples.push({ at, settled: accepted - length })
      while (samples.length > 1 && at - (samples[0] as Sample).at > WINDOW) samples.shift()
    },
    retryAfter: () => {
      const [first] = samples
      const last = samples.at(-1)
      if (!first || !last || last.at === first.at) return UNKNOWN_WAIT
      const rate = (last.settled - first.settled) / ((last.at - first.at) / 1000)
      if (rate <= 0) return UNKNOWN_WAIT
      const excess = Math.max(0, waiting - cap * (1 - HEADROOM))
      return Math.min(LONGEST_WAIT, Math.max(1, Math.ceil(excess / rate)))
    }
  }
}
