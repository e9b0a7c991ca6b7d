import type { Results, Series } from '../results.ts'
import { figure } from './figures.ts'
import { markdownTable } from './markdown-table.ts'
import { pictures } from './pictures.ts'

const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/** The rows of the small table: a phase and its title. */
const ROWS = [
  ['accept', 'Accept new orders, orders/s'],
  ['drain', 'Process a backlog with one worker, orders/s'],
  ['sustained', 'Accept and process at once, orders/s'],
  ['end-to-end', 'From POST to completed, 99th percentile, ms']
] as const

/** The columns of the small table: a contestant and its title. */
const COLUMNS = [
  ['express', 'Express'],
  ['bullmq', 'BullMQ'],
  ['orderstream (everysec)', 'Orderstream'],
  ['orderstream (always)', 'Orderstream, every write synced']
] as const

/**
 * Puts the small table and the chart between the markers of the README.
 * @throws when the README does not have each marker once, in this order
 */
export function replaceFigures(readme: string, results: Results): string {
  const [before, after, ...more] = readme.split(BEGIN)
  const [, rest, ...others] = (after ?? '').split(END)
  if (before === undefined || rest === undefined || more.length + others.length > 0 || before.includes(END))
    throw new Error(`The README must have ${BEGIN} once and, after it, ${END} once.`)
  return `${before}${BEGIN}\n\n${renderFigures(results)}\n\n${END}${rest}`
}

/** Renders the speed of the service beside its peers: one table and one chart. */
export function renderFigures({ series }: Results): string {
  const rows = ROWS.map(([phase, title]) => [
    title,
    ...COLUMNS.map(([contestant]) => medianOf(series, phase, contestant))
  ])
  const table = markdownTable(['', ...COLUMNS.map(([, title]) => title)], rows)
  const chart = pictures(series).find(({ file }) => file === 'accept.svg')
  return [table, ...(chart ? [`![${chart.alt}](tools/bench/charts/${chart.file})`] : [])].join('\n\n')
}

function medianOf(series: Series[], phase: string, contestant: string): string {
  const found = series.find(each => each.phase === phase && each.contestant === contestant)
  return figure(found?.median)
}
