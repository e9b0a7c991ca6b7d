import { createRandom } from '../../chaos/random.ts'
import { medianOf } from '../results.ts'

/** The fewest pairs that decide: the interval of fewer is not reliable. */
export const FEWEST = 8

/** The widest interval of a pass: how far it may reach from its middle, as a share of the middle. */
const WIDEST = 0.05

const RESAMPLES = 4000
const SHARE = 0.95

/** The 95 % interval of the median of some ratios. */
export interface Interval {
  low: number
  high: number
}

/** The verdict on the pairs of one phase. */
export interface Verdict extends Interval {
  pairs: number
  median: number
  /**
   * `slower`: the whole interval is below the bound. `not slower`: none of it is. `open`: the bound lies within the
   * interval, or there are too few pairs; further pairs may decide.
   */
  outcome: 'slower' | 'not slower' | 'open'
}

/**
 * The 95 % bootstrap interval of the median: the median of as many ratios drawn with replacement, 4,000 times, without
 * the lowest and the highest 2.5 %. The draws are the same each time, so the same ratios have the same interval.
 */
export function bootstrapInterval(ratios: readonly number[]): Interval {
  const random = createRandom(1, 'bootstrap')
  const sorted = Float64Array.from(ratios).sort()
  const drawn = new Uint16Array(sorted.length)
  const [lower, upper] = [(sorted.length - 1) >> 1, sorted.length >> 1]
  const medians = new Float64Array(RESAMPLES).map(() => {
    // Draws places in the sorted list: they are quicker to sort than the ratios.
    for (let index = 0; index < drawn.length; index++) drawn[index] = random.whole(0, drawn.length - 1)
    drawn.sort()
    const at = (place: number) => sorted[drawn[place] as number] as number
    return (at(lower) + at(upper)) / 2
  })
  medians.sort()
  const cut = Math.floor((RESAMPLES * (1 - SHARE)) / 2)
  return { low: medians[cut] as number, high: medians[RESAMPLES - 1 - cut] as number }
}

/** Compares the ratios of a phase (the rate of this revision over the other's, pair by pair) with a bound. */
export function judge(ratios: readonly number[], bound: number): Verdict {
  const { low, high } = bootstrapInterval(ratios)
  const median = medianOf([...ratios])
  const pairs = ratios.length
  const decides = pairs >= FEWEST
  const outcome = decides && high < bound ? 'slower' : decides && low >= bound ? 'not slower' : 'open'
  return { pairs, median, low, high, outcome }
}

/**
 * Decides an open verdict when there are no further rounds: an interval within ±5 % that is not wholly below the bound
 * is `not slower`, a wider one is `undecided`.
 */
export function conclude({ pairs, low, high, outcome }: Verdict): 'slower' | 'not slower' | 'undecided' {
  if (outcome !== 'open') return outcome
  const reach = (high - low) / (high + low)
  return pairs >= FEWEST && reach <= WIDEST ? 'not slower' : 'undecided'
}
