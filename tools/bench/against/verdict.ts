import { createRandom } from '../../chaos/random.ts'
import { medianOf } from '../results.ts'

/** Fewer pairs than these decide nothing: the interval of so few is not to be trusted. */
export const FEWEST = 8

/** An interval that reaches further than this from its middle, as a share of it, is too wide for a pass. */
export const WIDEST = 0.05

const RESAMPLES = 4000
const SHARE = 0.95

/** Where the median of some ratios lies with a probability of 95 %. */
export interface Interval {
  low: number
  high: number
}

/** What the pairs of one phase say of a bound. */
export interface Verdict extends Interval {
  pairs: number
  median: number
  /**
   * `slower`: the whole interval is below the bound. `not slower`: none of it is. `open`: the bound lies within it, so
   * that further pairs may decide; or there are too few pairs.
   */
  says: 'slower' | 'not slower' | 'open'
}

/**
 * The 95 % bootstrap interval of the median: the median of as many ratios drawn with replacement, 4,000 times, without
 * the lowest and the highest 2.5 %. The draws are the same each time, so the same ratios give the same interval.
 */
export function bootstrapInterval(ratios: readonly number[]): Interval {
  const random = createRandom(1, 'bootstrap')
  const sorted = Float64Array.from(ratios).sort()
  const drawn = new Uint16Array(sorted.length)
  const [lower, upper] = [(sorted.length - 1) >> 1, sorted.length >> 1]
  const medians = new Float64Array(RESAMPLES).map(() => {
    // Places in the sorted list, which are quicker to sort than what is there.
    for (let index = 0; index < drawn.length; index++) drawn[index] = random.whole(0, drawn.length - 1)
    drawn.sort()
    const at = (place: number) => sorted[drawn[place] as number] as number
    return (at(lower) + at(upper)) / 2
  })
  medians.sort()
  const cut = Math.floor((RESAMPLES * (1 - SHARE)) / 2)
  return { low: medians[cut] as number, high: medians[RESAMPLES - 1 - cut] as number }
}

/** Judges the ratios of a phase, this revision's rate over the other's, pair by pair. */
export function judge(ratios: readonly number[], bound: number): Verdict {
  const { low, high } = bootstrapInterval(ratios)
  const median = medianOf([...ratios])
  const pairs = ratios.length
  const decides = pairs >= FEWEST
  const says = decides && high < bound ? 'slower' : decides && low >= bound ? 'not slower' : 'open'
  return { pairs, median, low, high, says }
}

/**
 * What an open verdict comes to when there are no further rounds: an interval within ±5 % that is not wholly below the
 * bound is `not slower`, a wider one is `undecided`.
 */
export function conclude({ pairs, low, high, says }: Verdict): 'slower' | 'not slower' | 'undecided' {
  if (says !== 'open') return says
  const reach = (high - low) / (high + low)
  return pairs >= FEWEST && reach <= WIDEST ? 'not slower' : 'undecided'
}
