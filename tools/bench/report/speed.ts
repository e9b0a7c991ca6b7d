import type { Machine, Ratio, Results, Series } from '../results.ts'
import { byPhase, figure, range, ratioFigure } from './figures.ts'
import { markdownTable as table } from './markdown-table.ts'
import { inOrder, isGrowth, sizeLabel, title } from './phases.ts'
import { pictures } from './pictures.ts'

/** Renders docs/speed.md: the machine and the results, with charts and tables. */
export function renderSpeed(results: Results): string {
  const { series, ratios } = results
  const phases = [...byPhase(series)].map(([phase, list]) => ({ phase, list: inOrder(list) }))
  const select = (belongs: (phase: string) => boolean) =>
    phases.filter(({ phase }) => belongs(phase)).map(({ list }) => list)
  const parts = [
    '# Speed',
    introduce(results),
    '## Charts',
    ...pictures(series).map(({ file, alt }) => `![${alt}](../tools/bench/charts/${file})`),
    '## Tables',
    ...renderRatios(ratios),
    ...renderMedians(select(phase => !isGrowth(phase) && phase !== 'memory')),
    ...renderGrowth(select(isGrowth)),
    ...renderProcessorTime(phases.flatMap(({ list }) => list)),
    ...renderMemory(select(phase => phase === 'memory').flat())
  ]
  return `${parts.join('\n\n')}\n`
}

function introduce({ at, extent, seconds, machine }: Results): string {
  const mode = extent === 'full' ? '' : ` (${extent})`
  return [
    'This page is the output of the benchmark.',
    `\`npm run bench\`${mode} measured these figures on ${at.slice(0, 10)}, in ${duration(seconds)}, on one machine:`,
    `${describe(machine)}.`,
    '[tools/bench/README.md](../tools/bench/README.md) describes the method.',
    '',
    'How to read the figures:',
    '',
    '- The load comes from the same machine and shares its cores. So the ratios say more than the figures.',
    '- A figure is the median of its rounds. The contestants take turns in each round.',
    '- A figure without a low and a high had one round only. It may be wrong by a fifth.',
    '- All contestants use the same stores. MariaDB has a buffer pool of 4 GB. Redis does not rewrite its log meanwhile.',
    '',
    'The contestants:',
    '',
    '- `orderstream` is the service as it ships. The log, the metrics, the rate limit and load shedding are on.',
    '  It looks up known ids in both stores. MySQL syncs every commit.',
    '  `always`: Redis syncs its log before it answers. This is how the service ships.',
    '  `everysec`: Redis syncs its log once a second. A line without either word is `always`.',
    '  Reads have three kinds. `recent`: the api has just read the order. `cached`: the order comes from Redis.',
    '  `uncached`: the order comes from MySQL.',
    '- `express` (Express, ioredis, mysql2) and `bullmq` (Fastify, BullMQ) are the same service on other libraries.',
    '  Their source is in [tools/bench/peers/](../tools/bench/peers/). Their Redis syncs once a second.',
    '- `limit` and `constant` show what the stack can do without the work of the service. They are a Fastify that uses no',
    '  store, one loop of multi-row INSERTs on one connection, and pipelined XADDs to a Redis that syncs once a second.'
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
  const rows = ratios.map(each => [each.name, ratioFigure(each.median), range(each, ratioFigure)])
  return ['Ratios, round by round:', table(['', 'median', 'low–high'], rows)]
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

/** Renders one line for each growth phase and one column for each size. */
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
  return ['Beside so many other rows or orders:', table(['', ...sizes], rows)]
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
