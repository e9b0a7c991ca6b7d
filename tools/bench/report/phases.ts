import type { Series } from '../results.ts'

const titles: Record<string, string> = {
  accept: 'Accepting new orders',
  batch: 'Accepting new orders in batches',
  read: 'Reading finished orders',
  append: 'Appending messages to a stream',
  drain: 'Processing a backlog with one worker',
  workers: 'Processing a backlog with more workers on the same cores',
  sustained: 'Accepting and processing at once, with a flat backlog',
  'end-to-end': 'From POST to completed, each at half of its own rate, p99',
  wait: 'Answering POSTs that wait until their order is completed',
  memory: 'Memory of Redis for one order',
  'growth-drain': 'Processing a backlog beside other rows',
  'growth-read': 'Reading rows beside other rows',
  'growth-metrics': 'GET /metrics beside other rows, p99',
  'growth-accept': 'Accepting beside orders that wait, everysec'
}

/** Returns the title of a phase, or its name if it has no title, with the unit. */
export function title({ phase, unit }: Series): string {
  return `${titles[phase] ?? phase} (${unit})`
}

/** Returns whether a phase compares sizes of a table or of a backlog. */
export function isGrowth(phase: string): boolean {
  return phase.startsWith('growth-')
}

/** Returns the size in a series of a growth phase, such as `1,000,000`, or `none`. */
export function sizeLabel({ contestant }: Series): string {
  const size = sizeOf(contestant)
  return size === 0 ? 'none' : size.toLocaleString('en')
}

/**
 * Sorts the series of one phase for display. A growth phase is sorted by size. Other phases have the limit first, then
 * the peers, then the service.
 */
export function inOrder(series: Series[]): Series[] {
  const rank = ({ phase, contestant }: Series) => (isGrowth(phase) ? sizeOf(contestant) : rankOf(contestant))
  return series.toSorted((a, b) => rank(a) - rank(b))
}

/**
 * Returns whether a contestant is the service. Its label is the name of the service, or a number of workers or rows.
 */
export function isOurs(contestant: string): boolean {
  return /^(orderstream|\d)/.test(contestant)
}

/** Returns whether a contestant is a limit of the stack. */
export function isLimit(contestant: string): boolean {
  return /^(limit|constant)\b/.test(contestant)
}

function rankOf(contestant: string): number {
  if (isLimit(contestant)) return 0
  if (contestant === 'express') return 1
  return isOurs(contestant) ? 3 : 2
}

function sizeOf(contestant: string): number {
  return Number(/^[\d,]+/.exec(contestant)?.[0].replaceAll(',', '') ?? 0)
}
