import { createRandom } from '../../chaos/random.ts'
import { medianOf } from '../results.ts'

/** The fewest pairs for a verdict. The interval of fewer pairs is not reliable. */
export const FEWEST = 8

/** The largest distance from the middle of the interval to its ends, as a share of the middle, for `not slower`. */
const WIDEST = 0.05

const RESAMPLES = 4000
const SHARE = 0.95

/** The 95 % confidence interval of the median of some ratios. */
export interface Interval {
  low: number
  high: number
}

/** The verdict on the pairs of one phase. */
export interface Verdict extends Interval {
  pairs: number
  median: number
  /**
   * `slower`: the whole interval is below the bound. `not slower`: no part of the interval is below the bound. `open`:
   * the bound is within the interval, or there are too few pairs. More pairs may decide.
   */
  outcome: 'slower' | 'not slower' | 'open'
}

/**
 * Returns the 95 % bootstrap interval of the median. Draws the same number of ratios with replacement 4,000 times, and
 * drops the lowest and the highest 2.5 % of their medians. The draws repeat, so the same ratios have the same interval.
 */
export function bootstrapInterval(ratios: readonly number[]): Interval {
  const random = createRandom(1, 'bootstrap')
  const sorted = Float64Array.from(ratios).sort()
  const drawn = new Uint16Array(sorted.length)
  const [lower, upper] = [(sorted.length - 1) >> 1, sorted.length >> 1]
  const medians = new Float64Array(RESAMPLES).map(() => {
    // Draws positions in the sorted list, because sorting positions is faster than sorting ratios.
    for (let index = 0; index < drawn.length; index++) drawn[index] = random.whole(0, drawn.length - 1)
    drawn.sort()
    const at = (place: number) => sorted[drawn[place] as number] as number
    return (at(lower) + at(upper)) / 2
  })
  medians.sort()
  const cut = Math.floor((RESAMPLES * (1 - SHARE)) / 2)
  return { low: medians[cut] as number, high: medians[RESAMPLES - 1 - cut] as number }
}

/** Compares the ratios of a phase with a bound. A ratio is the rate of this revision over the rate of the other one. */
export function judge(ratios: readonly number[], bound: number): Verdict {
  const { low, high } = bootstrapInterval(ratios)
  const median = medianOf([...ratios])
  const pairs = ratios.length
  const decides = pairs >= FEWEST
  const outcome = decides && high < bound ? 'slower' : decides && low >= bound ? 'not slower' : 'open'
  return { pairs, median, low, high, outcome }
}

/**
 * Decides an open verdict when there are no further rounds. If there are enough pairs and the interval is within ±5 %,
 * the verdict is `not slower`. Otherwise it is `undecided`.
 */
export function conclude({ pairs, low, high, outcome }: Verdict): 'slower' | 'not slower' | 'undecided' {
  if (outcome !== 'open') return outcome
  const reach = (high - low) / (high + low)
  return pairs >= FEWEST && reach <= WIDEST ? 'not slower' : 'undecided'
}
