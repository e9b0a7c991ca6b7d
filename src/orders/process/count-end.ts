import type { Counters } from '../../streams/function.ts'

const NONE: ReturnType<Counters> = []

/**
 * Counts a settled message of an order in the hash `settled`, for the audit. Counts duplicates and conflicts. Subtracts
 * a redriven message of a failed order from `redriving`, because it is no longer in flight.
 */
export const countEnd: Counters = ({ kind, code, redriven }) => {
  if (kind === 'done' && redriven === '') return NONE
  const counts: ReturnType<Counters> = []
  if (kind === 'duplicate') counts.push(['duplicates', 1])
  if (kind === 'dead' && code === 'conflict') counts.push(['conflicts', 1])
  if (redriven === 'failed') counts.push(['redriving', -1])
  return counts
}
