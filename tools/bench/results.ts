/** How much is measured: everything, what fits in two minutes, or what CI compares. */
export type Extent = 'full' | 'quick' | 'check'

/** Figures of one contestant in one phase, one for each round. */
export interface Series {
  /** What was measured, such as `accept`; the phases are named in `tools/bench/phases/`. */
  phase: string
  contestant: string
  /** Of the figures, such as `orders/s`. */
  unit: string
  rounds: number[]
  median: number
  low: number
  high: number
  /** Further figures beside the main one, medians over the rounds; their names carry their units (`p99_ms`). */
  details: Record<string, number>
}

/** One contestant's figures divided by another's, round by round: what the machine did meanwhile is in both. */
export interface Ratio {
  /** Such as `accept: orderstream (always) / limit`. */
  name: string
  rounds: number[]
  median: number
  low: number
  high: number
  /** What the full run should reach, where there is such an aim. */
  atLeast?: number
  atMost?: number
}

export interface Machine {
  processor: string
  cores: number
  memory_gb: number
  system: string
  node: string
  redis: string
  mysql: string
}

/** What a run of the benchmark found; `tools/bench/results.json` is one of the full extent. */
export interface Results {
  /** When the run began, ISO 8601. */
  at: string
  extent: Extent
  /** How long it took, in seconds. */
  seconds: number
  machine: Machine
  series: Series[]
  ratios: Ratio[]
}

/** A series of one figure for each round. */
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
 * The ratio of two contestants' rounds, pair by pair. Both took part in every round.
 * @throws when they did not
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

/** Whether a ratio is where it should be; true where there is no aim. */
export function holds({ median, atLeast = 0, atMost = Number.POSITIVE_INFINITY }: Ratio): boolean {
  return median >= atLeast && median <= atMost
}

/** The middle of some figures; of an even number of them the mean of the two in the middle. */
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
