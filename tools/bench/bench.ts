import type { ContestantOptions, Running } from './contestants.ts'
import { aims, type Plan, plans } from './extents.ts'
import { type Extent, type Ratio, ratio, type Series, series } from './results.ts'

/** One run: what every phase needs, and where it leaves its figures. */
export interface Bench extends ContestantOptions {
  extent: Extent
  plan: Plan
  series: Series[]
  ratios: Ratio[]
  /** Tells whoever waits what is being done. */
  say: (text: string) => void
  add: (...given: Parameters<typeof series>) => void
  /** Compares two lists of rounds. `aim` names what the ratio should reach; undefined for a ratio without an aim. */
  compare: (name: string, aim: keyof typeof aims | undefined, over: number[], under: number[]) => void
}

export function createBench(
  options: ContestantOptions & { extent: Extent; say: (text: string) => void }
): Bench {
  const { extent } = options
  const found: Series[] = []
  const ratios: Ratio[] = []
  return {
    ...options,
    plan: plans[extent],
    series: found,
    ratios,
    add: (...given) => found.push(series(...given)),
    compare: (name, aim, over, under) => {
      const bounds: Partial<Record<Extent, Pick<Ratio, 'atLeast' | 'atMost'>>> = aim ? aims[aim] : {}
      ratios.push(ratio(name, over, under, bounds[extent]))
    }
  }
}

/**
 * Rounds of contestants in turn (A B C, A B C, …): what slows the machine down for a while slows all of them down.
 * Gives the results of each, round by round.
 */
export async function inTurn<Name extends string, T>(
  { say, signal }: Bench,
  what: string,
  rounds: number,
  contestants: Record<Name, (round: number) => Promise<T>>
): Promise<Record<Name, T[]>> {
  const names = Object.keys(contestants) as Name[]
  const results = Object.fromEntries(names.map(name => [name, [] as T[]])) as Record<Name, T[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      signal.throwIfAborted()
      say(`${what}: ${name}, round ${round + 1} of ${rounds}`)
      results[name].push(await contestants[name](round))
    }
  }
  return results
}

/** What one contestant did in one round. */
export interface Round {
  rate: number
  details: Record<string, number>
}

/** Adds the series of all contestants of a phase. */
export function addRounds({ add }: Bench, phase: string, unit: string, found: Record<string, Round[]>): void {
  for (const [name, rounds] of Object.entries(found)) {
    add(
      phase,
      name,
      unit,
      rates(rounds),
      rounds.map(({ details }) => details)
    )
  }
}

/** Compares two contestants of a phase. */
export function compareRounds(
  { compare }: Bench,
  phase: string,
  found: Record<string, Round[]>,
  [ours, theirs]: [string, string],
  aim?: keyof typeof aims
): void {
  compare(`${phase}: ${ours} / ${theirs}`, aim, rates(found[ours]), rates(found[theirs]))
}

function rates(rounds: Round[] = []): number[] {
  return rounds.map(({ rate }) => rate)
}

/** Does `work` with some programs, which are stopped afterwards whatever happened. */
export async function withRunning<T>(
  starting: Promise<Running>[],
  work: (running: Running[]) => Promise<T>
): Promise<T> {
  try {
    return await work(await Promise.all(starting))
  } finally {
    const started = await Promise.allSettled(starting)
    await Promise.all(started.map(each => each.status === 'fulfilled' && each.value.stop()))
  }
}
