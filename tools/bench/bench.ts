import type { ContestantOptions, Running } from './contestants.ts'
import { aims, type Plan, plans } from './extents.ts'
import { type Extent, type Ratio, ratio, type Series, series } from './results.ts'

/** One run: the dependencies of a phase, and the figures so far. */
export interface Bench extends ContestantOptions {
  extent: Extent
  plan: Plan
  series: Series[]
  ratios: Ratio[]
  /** Prints the current step. */
  say: (text: string) => void
  add: (...args: Parameters<typeof series>) => void
  /** Compares two lists of rounds. `aim` names the bounds of the ratio; undefined if it has no bounds. */
  compare: (name: string, aim: keyof typeof aims | undefined, over: number[], under: number[]) => void
}

/** Creates a run without figures. */
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
    add: (...args) => found.push(series(...args)),
    compare: (name, aim, over, under) => {
      const bounds: Partial<Record<Extent, Pick<Ratio, 'atLeast' | 'atMost'>>> = aim ? aims[aim] : {}
      ratios.push(ratio(name, over, under, bounds[extent]))
    }
  }
}

/**
 * Runs the contestants in turn (A B C, A B C, …), so that a slow moment of the machine affects all contestants. Returns
 * the results of each contestant, round by round.
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

/** The figures of one contestant in one round. */
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

/** Calls `work` with some programs. Stops the programs afterwards, even after an error. */
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
