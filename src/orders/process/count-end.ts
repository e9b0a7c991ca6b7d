import type { Counters } from '../../streams/function.ts'

const NONE: ReturnType<Counters> = []

/**
 * Counts the end of an order's message in the hash `settled`, for the audit: duplicates, conflicts, and redriven
 * messages of failed orders, which are no longer in flight.
 */
export const countEnd: Counters = ({ kind, code, redriven }) => {
  if (kind === 'done' && redriven === '') return NONE
  const counts: ReturnType<Counters> = []
  if (kind === 'duplicate') counts.push(['duplicates', 1])
  if (kind === 'dead' && code === 'conflict') counts.push(['conflicts', 1])
  if (redriven === 'failed') counts.push(['redriving', -1])
  return counts
}
