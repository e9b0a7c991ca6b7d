import { LOGS } from '../names.ts'
import type { FunctionState } from './function-states.ts'
import type { IsRun } from './processes.ts'

/**
 * A function that no worker has run for so long may have been removed (ms). A restart of the workers takes less time.
 */
export const UNRUN_AFTER = 120_000

/** A function that has work waiting and that no worker runs. */
export interface Unrun {
  name: string
  retrying: number
  dead: number
  /** Unsettled messages by stream. The messages of a queue that another function consumes are not included. */
  unread: { stream: string; count: number }[]
  /** The time for which this process has found no worker that runs the function (ms). */
  silent: number
}

/**
 * Creates the search for functions that no worker runs. It measures the time since the first search that found no
 * process with the function. It finds nothing while `isRun` is undefined, since the running processes are unknown then.
 */
export function createUnrunFinder(): (states: readonly FunctionState[], isRun: IsRun | undefined) => Unrun[] {
  const silentSince = new Map<string, number>()
  const silenceOf = (state: FunctionState, isRun: IsRun): number => {
    const key = `${state.name} ${state.stream}`
    const now = performance.now()
    if (isRun(state)) silentSince.delete(key)
    else if (!silentSince.has(key)) silentSince.set(key, now)
    return now - (silentSince.get(key) ?? now)
  }
  return (states, isRun) => {
    if (!isRun) return []
    // Skips ended functions: the metrics include their dead letters, and nobody has to act on them.
    const silences = states
      .filter(({ ended }) => !ended)
      .map(state => ({ ...state, silent: silenceOf(state, isRun) }))
    const consumed = new Set(
      silences.filter(({ silent }) => silent < UNRUN_AFTER).map(({ stream }) => stream)
    )
    return [...Map.groupBy(silences, ({ name }) => name)].flatMap(([name, own]) =>
      unrunOf(name, own, stream => !LOGS.includes(stream) && consumed.has(stream))
    )
  }
}

/** Returns the work that waits for one function, by stream; empty when a worker runs the function or no work waits. */
function unrunOf(
  name: string,
  own: (FunctionState & { silent: number })[],
  isConsumed: (stream: string) => boolean
): Unrun[] {
  const silent = Math.min(...own.map(state => state.silent))
  const sum = (figure: 'retrying' | 'dead') =>
    silent < UNRUN_AFTER ? 0 : own.reduce((total, state) => total + state[figure], 0)
  const unread = own
    .filter(state => state.silent >= UNRUN_AFTER && state.depth > 0 && !isConsumed(state.stream))
    .map(({ stream, depth }) => ({ stream, count: depth }))
  const found = { name, retrying: sum('retrying'), dead: sum('dead'), unread }
  if (found.retrying + found.dead + unread.length === 0) return []
  const longest = unread.length > 0 ? Math.max(...own.map(state => state.silent)) : silent
  return [{ ...found, silent: longest }]
}
