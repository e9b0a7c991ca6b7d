import type { Counters } from '../../streams/function.ts'
import { LARGE_MESSAGE } from '../names.ts'

const NONE: ReturnType<Counters> = []

/**
 * Counts a settled message of an order in the hash `settled`. For the audit, counts duplicates and conflicts, and
 * subtracts a redriven message of a failed order from `redriving`, because it is no longer in flight. For the limit of
 * the backlog, adds the bytes of a large message when it ends for the first time.
 */
export const countEnd: Counters = ({ kind, code, redriven, bytes }) => {
  const waited = redriven === '' && bytes > LARGE_MESSAGE
  if (kind === 'done' && redriven === '' && !waited) return NONE
  const counts: ReturnType<Counters> = []
  if (kind === 'duplicate') counts.push(['duplicates', 1])
  if (kind === 'dead' && code === 'conflict') counts.push(['conflicts', 1])
  if (redriven === 'failed') counts.push(['redriving', -1])
  if (waited) counts.push(['bytes', bytes])
  return counts
}
