/** The size of a run: all phases, two minutes, or the phases that CI checks. */
export type Extent = 'full' | 'quick' | 'check'

/** The figures of one contestant in one phase, one figure for each round. */
export interface Series {
  /** The phase, such as `accept`. `tools/bench/phases/` has the phases. */
  phase: string
  contestant: string
  /** The unit of the figures, such as `orders/s`. */
  unit: string
  rounds: number[]
  median: number
  low: number
  high: number
  /** Further figures, as medians over the rounds. Their names have their units, such as `p99_ms`. */
  details: Record<string, number>
}

/** The figures of one contestant divided by the figures of another contestant, round by round. */
export interface Ratio {
  /** The name, such as `accept: orderstream (always) / limit`. */
  name: string
  rounds: number[]
  median: number
  low: number
  high: number
  /** The bounds of the ratio; undefined if it has none. */
  atLeast?: number
  atMost?: number
}

/** The machine of a run and its versions. */
export interface Machine {
  processor: string
  cores: number
  memory_gb: number
  system: string
  node: string
  redis: string
  mysql: string
}

/** The results of a run. `tools/bench/results.json` has the results of a full run. */
export interface Results {
  /** The time when the run began, ISO 8601. */
  at: string
  extent: Extent
  /** The length of the run, in seconds. */
  seconds: number
  machine: Machine
  series: Series[]
  ratios: Ratio[]
}

/** Creates a series of one figure for each round. */
export function series(
  phase: string,
  contestant: string,
  unit: string,
  rounds: number[],
  details: Record<string, number>[] = []
): Series {
  return { phase, contestant, unit, ...spread(rounds), details: medians(details) }
}

/**
 * Creates the ratio of two contestants, round by round.
 * @throws when they do not have the same number of rounds
 */
export function ratio(
  name: string,
  over: number[],
  under: number[],
  bounds: Pick<Ratio, 'atLeast' | 'atMost'> = {}
): Ratio {
  if (over.length !== under.length || over.length === 0)
    throw new Error(`${name}: ${over.length} rounds cannot be compared with ${under.length}`)
  return { name, ...spread(over.map((figure, round) => figure / (under[round] as number))), ...bounds }
}

/** Returns whether a ratio is within its bounds. Returns true if it has no bounds. */
export function holds({ median, atLeast = 0, atMost = Number.POSITIVE_INFINITY }: Ratio): boolean {
  return median >= atLeast && median <= atMost
}

/** Returns the median of some figures. */
export function medianOf(figures: number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle]
  if (upper === undefined) throw new Error('no figures, no median')
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

function spread(rounds: number[]) {
  return { rounds, median: medianOf(rounds), low: Math.min(...rounds), high: Math.max(...rounds) }
}

function medians(details: Record<string, number>[]): Record<string, number> {
  const names = Object.keys(details[0] ?? {})
  return Object.fromEntries(
    names.map(name => [name, medianOf(details.map(each => each[name] ?? Number.NaN))])
  )
}
