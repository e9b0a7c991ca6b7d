/** The backlog is at its cap: no order is taken in until workers have caught up. */
export class BacklogFull extends Error {
  override name = 'BacklogFull'
  /** Seconds after which there should be room. */
  readonly retryAfter: number

  constructor(retryAfter: number) {
    super(`Too many orders are waiting to be processed. There should be room in ${retryAfter} s.`)
    this.retryAfter = retryAfter
  }
}

/** Part of the cap that must be free before a client is told to come back. */
const HEADROOM = 0.1

/** Over how long the drain rate is measured (ms). */
const WINDOW = 10_000

/** Longest time a client is told to wait, and what it is told while nothing drains (seconds). */
const LONGEST_WAIT = 60
const UNKNOWN_WAIT = 10

interface Sample {
  at: number
  settled: number
}

/** Measures how fast one partition's queue drains, from what every accept sees of it. */
export interface Backlog {
  /** Told of the queue after an accept: orders ever accepted, and messages that wait. */
  sample: (accepted: number, waiting: number) => void
  /** Seconds until there is room again, at the measured rate. */
  retryAfter: () => number
}

export function createBacklog(cap: number): Backlog {
  let samples: Sample[] = []
  let waiting = 0
  return {
    sample: (accepted, length) => {
      const at = performance.now()
      waiting = length
      const last = samples.at(-1)
      // Ten readings in a window are enough; a counter that began anew makes the old ones meaningless.
      if (last && accepted - length < last.settled) samples = []
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
