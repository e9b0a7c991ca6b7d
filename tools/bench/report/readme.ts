import { holds, type Machine, type Ratio, type Results, type Series } from '../results.ts'
import { aim, byPhase, figure, range, ratioFigure } from './figures.ts'
import { inOrder, isGrowth, sizeLabel, title } from './phases.ts'
import { pictures } from './pictures.ts'

const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/**
 * Puts the results between the markers of the README.
 * @throws when it has not one of each, in this order
 */
export function replaceSpeed(readme: string, results: Results): string {
  const [before, after, ...more] = readme.split(BEGIN)
  const [, rest, ...others] = (after ?? '').split(END)
  if (before === undefined || rest === undefined || more.length + others.length > 0 || before.includes(END))
    throw new Error(`The README must have ${BEGIN} once and, after it, ${END} once.`)
  return `${before}${BEGIN}\n\n${renderSpeed(results)}\n\n${END}${rest}`
}

/** The README's section "Speed" with its heading: what was measured on what, pictures and tables. */
export function renderSpeed(results: Results): string {
  const { series, ratios } = results
  const phases = [...byPhase(series)].map(([phase, list]) => ({ phase, list: inOrder(list) }))
  const select = (which: (phase: string) => boolean) =>
    phases.filter(({ phase }) => which(phase)).map(({ list }) => list)
  return [
    '## Speed',
    introduce(results),
    ...pictures(series).map(({ file, alt }) => `![${alt}](tools/bench/charts/${file})`),
    ...renderRatios(ratios),
    ...renderMedians(select(phase => !isGrowth(phase) && phase !== 'memory')),
    ...renderGrowth(select(isGrowth)),
    ...renderProcessorTime(phases.flatMap(({ list }) => list)),
    ...renderMemory(select(phase => phase === 'memory').flat())
  ].join('\n\n')
}

function introduce({ at, extent, seconds, machine }: Results): string {
  const much = extent === 'full' ? '' : ` (${extent})`
  return [
    `\`npm run bench\`${much} took these figures on ${at.slice(0, 10)}, in ${duration(seconds)}, on one machine: ` +
      `${describe(machine)}.`,
    'The load comes from the same machine and shares its cores, so the ratios say more than the figures.',
    'A figure is the median of its rounds, in which contestants take turns; one without a low and a high had one round,',
    'and may be off by a fifth. All use the same stores: MariaDB has a buffer pool of 4 GB, and Redis does not rewrite its',
    'log meanwhile.',
    '',
    '- `orderstream` is what is shipped, with all it has switched on: log, metrics, rate limit, load shedding, and known',
    '  ids looked up in both stores. Redis syncs its log before it answers (`always`, which is how it is shipped) or once',
    '  a second (`everysec`); MySQL syncs every commit. Where nothing is said, it is `always`.',
    '  A read is of an order that the api has just read (`recent`), or comes from Redis (`cached`) or MySQL (`uncached`).',
    '- `express` (Express, ioredis, mysql2) and `bullmq` (Fastify, BullMQ) are the same service built on those, in',
    '  [tools/bench/peers/](tools/bench/peers/). Their Redis syncs once a second.',
    '- `limit` and `constant` are what the stack does without that work: Fastify that answers from no store, one loop of',
    '  multi-row INSERTs on one connection, pipelined XADDs to a Redis that syncs once a second.'
  ].join('\n')
}

function describe({ processor, cores, memory_gb, system, node, redis, mysql }: Machine): string {
  const mariadb = /^([\d.]+)-mariadb/i.exec(mysql)?.[1]
  const database = mariadb ? `MariaDB ${mariadb}` : `MySQL ${mysql}`
  const parts = [`${cores} cores`, `${figure(memory_gb)} GB of memory`, system, `Node.js ${node}`]
  return [processor, ...parts, `Redis ${redis}`, database].join(', ')
}

function duration(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`
}

function renderRatios(ratios: Ratio[]): string[] {
  if (ratios.length === 0) return []
  const rows = ratios.map(each => [
    each.name,
    ratioFigure(each.median),
    range(each, ratioFigure),
    `${aim(each)}${holds(each) ? '' : ' **missed**'}`
  ])
  return [
    'Ratios, round by round, and what they should reach:',
    table(['', 'median', 'low–high', 'aim'], rows)
  ]
}

function renderMedians(phases: Series[][]): string[] {
  if (phases.length === 0) return []
  const rows = phases.flatMap(list =>
    list.map((each, index) => [
      index === 0 ? title(each) : '',
      each.contestant,
      figure(each.median),
      range(each),
      detail(each, 'p50_ms'),
      detail(each, 'p99_ms')
    ])
  )
  return ['Medians:', table(['', '', 'median', 'low–high', 'p50 ms', 'p99 ms'], rows, 2)]
}

/** One line for each phase, one column for each size, since these phases differ in nothing else. */
function renderGrowth(phases: Series[][]): string[] {
  if (phases.length === 0) return []
  const sizes = [...new Set(inOrder(phases.flat()).map(sizeLabel))]
  const rows = phases.map(list => [
    title(list[0] as Series),
    ...sizes.map(size => {
      const found = list.find(each => sizeLabel(each) === size)
      if (!found) return ''
      const between = range(found)
      return between === '' ? figure(found.median) : `${figure(found.median)} (${between})`
    })
  ])
  return ['Beside so many others:', table(['', ...sizes], rows)]
}

function renderProcessorTime(series: Series[]): string[] {
  const rows = series.flatMap(each => {
    const { redis, mysql, ...programs } = Object.fromEntries(
      Object.entries(each.details).flatMap(([name, value]) => {
        const process = /^cpu_(.+)_ms$/.exec(name)?.[1]
        return process === undefined ? [] : [[process, value]]
      })
    )
    const used = [...Object.values(programs), redis, mysql].filter(value => value !== undefined)
    if (used.length === 0) return []
    const memory = each.details.rss_api_mb ?? each.details.rss_worker_mb
    return [
      [
        `${each.phase}: ${each.contestant}`,
        ...[sum(Object.values(programs)), redis, mysql, sum(used), memory].map(figure)
      ]
    ]
  })
  if (rows.length === 0) return []
  const heads = ['', 'api or worker', 'Redis', 'MySQL', 'all', 'api or worker, MB at most']
  return ['Processor time in ms for 1,000 orders, and memory of the process:', table(heads, rows)]
}

function renderMemory(series: Series[]): string[] {
  if (series.length === 0) return []
  const parts = series.map(
    ({ contestant, median, unit }) => `a ${contestant} takes ${figure(median)} ${unit}`
  )
  return [`Of Redis's memory, ${parts.join(' and ')}.`]
}

function detail({ details }: Series, name: string): string {
  return name in details ? figure(details[name]) : ''
}

function sum(values: number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((all, each) => all + each)
}

/** A table whose first columns, `left` of them, are words, and whose others are figures. */
function table(heads: string[], rows: string[][], left = 1): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rule = heads.map((_, column) => (column < left ? '---' : '---:'))
  return [line(heads), line(rule), ...rows.map(line)].join('\n')
}
