/** The backlog is at its cap. No order is accepted until workers have caught up. */
export class BacklogFull extends Error {
  override name = 'BacklogFull'
  /** Seconds until there should be room. */
  readonly retryAfter: number

  constructor(retryAfter: number) {
    super(`Too many orders are waiting to be processed. There should be room in ${retryAfter} s.`)
    this.retryAfter = retryAfter
  }
}

/** The part of the cap that should be free when a client comes back. */
const HEADROOM = 0.1

/** The time over which the drain rate is measured (ms). */
const WINDOW = 10_000

/** The longest wait, and the wait while the rate is unknown (s). */
const LONGEST_WAIT = 60
const UNKNOWN_WAIT = 10

/** Orders that were settled by a time (ms). */
interface Sample {
  at: number
  settled: number
}

/** Measures how fast one partition's backlog drains, from the replies to accepts. */
export interface Backlog {
  /** Records the counts after an accept: orders accepted in the epoch, and messages that wait. */
  sample: (accepted: number, waiting: number) => void
  /** Seconds until there is room, at the measured rate; 1 to 60. */
  retryAfter: () => number
}

/** Creates the measurement for a partition; `cap` is the most messages that may wait in it. */
export function createBacklog(cap: number): Backlog {
  let samples: Sample[] = []
  let waiting = 0
  return {
    sample: (accepted, length) => {
      const at = performance.now()
      waiting = length
      const last = samples.at(-1)
      // The count went back: it is of a new epoch, and does not compare with older ones.
      if (last && accepted - length < last.settled) samples = []
      // Ten samples in a window are enough.
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
