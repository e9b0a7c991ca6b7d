import { LOGS } from '../names.ts'
import type { FunctionState } from './function-states.ts'

/** How long no worker has run a function that may be gone (ms). A rolling deploy is over by then. */
export const UNRUN_AFTER = 120_000

/** A function for which something waits, and that no worker runs. */
export interface Unrun {
  name: string
  retrying: number
  dead: number
  /** Unread messages, by stream; those of a queue that another function consumes are not its own. */
  unread: { stream: string; count: number }[]
  /** How long no worker has run it (ms), as far as this process knows. */
  silent: number
}

/**
 * Finds functions that no worker runs. One that nobody ever noted, since it is of an older version, counts as silent from
 * when this process first saw it.
 */
export function createUnrunFinder(): (states: readonly FunctionState[]) => Unrun[] {
  const firstSeen = new Map<string, number>()
  return states => {
    const now = performance.now()
    const silentOf = ({ name, stream, silent }: FunctionState) => {
      if (silent !== undefined) return silent
      const key = `${name} ${stream}`
      if (!firstSeen.has(key)) firstSeen.set(key, now)
      return now - (firstSeen.get(key) as number)
    }
    // What an operator has ended is known to be gone; its dead letters stand in the metrics.
    const all = states.filter(({ ended }) => !ended).map(state => ({ ...state, silent: silentOf(state) }))
    const consumed = new Set(all.filter(({ silent }) => silent < UNRUN_AFTER).map(({ stream }) => stream))
    return [...Map.groupBy(all, ({ name }) => name)].flatMap(([name, own]) => {
      const silent = Math.min(...own.map(state => state.silent))
      const sum = (figure: 'retrying' | 'dead') =>
        silent < UNRUN_AFTER ? 0 : own.reduce((total, state) => total + state[figure], 0)
      const unread = own
        .filter(
          state =>
            state.silent >= UNRUN_AFTER &&
            state.depth > 0 &&
            (LOGS.includes(state.stream) || !consumed.has(state.stream))
        )
        .map(({ stream, depth }) => ({ stream, count: depth }))
      const found = { name, retrying: sum('retrying'), dead: sum('dead'), unread }
      if (found.retrying + found.dead + unread.length === 0) return []
      const longest = unread.length > 0 ? Math.max(...own.map(state => state.silent)) : silent
      return [{ ...found, silent: longest }]
    })
  }
}
