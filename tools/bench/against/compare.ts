import { join } from 'node:path'
import { root } from '../../local/service.ts'
import { startStores } from '../stores.ts'
import type { Against } from './options.ts'
import { type RoundRates, runRound } from './round.ts'
import { createSide } from './side.ts'
import { comparePhases, describe, isOpen, passes, renderComparison } from './table.ts'
import { checkOut, thisTree } from './tree.ts'
import { FEWEST } from './verdict.ts'

/** The dependencies of a comparison. */
export interface CompareOptions {
  /** The folder for the other tree, the data and the logs. */
  dir: string
  signal: AbortSignal
  /** Prints a line. */
  say: (text: string) => void
}

/**
 * The number of rounds that may be repeated. On a busy machine the service may refuse orders, and then the rates of the
 * round are not valid.
 */
const REPEATS = 3

/**
 * Runs this tree and another revision in turn, round by round, until every phase is decided or no rounds are left.
 * Resolves to true if no phase is slower or undecided.
 */
export async function compareRevisions(
  { revision, rounds, bounds, phases, extra }: Against,
  { dir, signal, say }: CompareOptions
): Promise<boolean> {
  const began = performance.now()
  const ours = await thisTree(root, signal)
  say(`this:  ${ours.label}`)
  say(`Checking out ${revision}; its dependencies are installed where its lock file differs …`)
  const theirs = await checkOut(root, revision, join(dir, 'other'), signal)
  say(`other: ${theirs.label}`)
  const stores = await startStores(join(dir, 'stores'), signal)
  try {
    const options = { stores, dir, signal }
    const sides = [createSide('this', ours, options, extra), createSide('other', theirs, options)]
    const found: RoundRates[] = []
    let failures = 0
    let comparisons = comparePhases(found, {})
    while (found.length < rounds) {
      // The sides swap their order in each round, so that effects of an earlier phase affect both sides.
      const order = found.length % 2 === 0 ? sides : sides.toReversed()
      const rates = await runRound(order, phases, options).catch(error => {
        signal.throwIfAborted()
        if (failures++ === REPEATS) throw error
        say(`A round is repeated, since it failed: ${(error as Error).message}`)
      })
      if (!rates) continue
      found.push(rates)
      comparisons = comparePhases(found, bounds)
      const time = `${Math.round((performance.now() - began) / 1000)} s`.padStart(7)
      say(`${time}  round ${found.length} of at most ${rounds}: ${comparisons.map(describe).join(', ')}`)
      if (found.length >= FEWEST && !comparisons.some(isOpen)) break
    }
    say(`\n${renderComparison(comparisons)}`)
    return passes(comparisons)
  } finally {
    await stores.stop()
  }
}
