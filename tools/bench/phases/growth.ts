import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bench, inTurn, withRunning } from '../bench.ts'
import { type Contestant, orderstream, type Running } from '../contestants.ts'
import { drainMore } from '../drain.ts'
import type { Plan } from '../extents.ts'
import { readPaths } from '../load/wrk.ts'
import { addRows, untilFlushed, writePaths } from '../rows.ts'

const CONNECTIONS = 64
const WARM_UP = 1

/** The number of rows to read in a table of any size. Each row is read once. */
const READABLE = 100_000

const FEW = `${READABLE.toLocaleString('en')} rows`

interface Figures {
  drain: number
  read: number
  metrics_p50_ms: number
  metrics_p99_ms: number
}

/** Measures how a growing table affects the drain, the reads of its rows, and `/metrics`. */
export async function growth(bench: Bench): Promise<void> {
  const plan = bench.plan.growth
  if (!plan) return
  const small = await orderstream(bench, 'always', 'growth_small')
  const large = await orderstream(bench, 'always', 'growth_large')
  await small.place.reset()
  await addRows(small.place, 0, READABLE)
  let rows = 0
  for (const size of plan.rows) {
    const label = `${size.toLocaleString('en')} rows`
    bench.say(`growth: the table grows to ${label}`)
    await addRows(large.place, rows, size)
    rows = size
    await untilFlushed(large.place)
    if (size !== plan.rows.at(-1)) {
      add(bench, label, [await measure(bench, plan, large, size, 0)])
      continue
    }
    const found = await inTurn<string, Figures>(bench, 'growth', plan.rounds, {
      [FEW]: round => measure(bench, plan, small, READABLE, round),
      [label]: round => measure(bench, plan, large, size, round)
    })
    const [few, many] = [found[FEW] as Figures[], found[label] as Figures[]]
    add(bench, FEW, few)
    add(bench, label, many)
    compare(bench, label, few, many)
  }
  await large.place.reset()
  await small.place.reset()
}

/** Runs one round with a table of `rows` rows. */
async function measure(
  { dir, signal }: Bench,
  { orders, seconds }: NonNullable<Plan['growth']>,
  contestant: Contestant,
  rows: number,
  round: number
): Promise<Figures> {
  // Otherwise the reads would find documents of an earlier round in Redis instead of rows.
  await contestant.place.redis.flushall()
  const file = join(dir, `growth-${round}`)
  await writePaths(file, 0, rows, Math.min(rows, READABLE))
  const metricsFile = join(dir, 'metrics')
  await writeFile(metricsFile, '/metrics\n')
  const { rate: drained } = await drainMore(contestant, orders)
  return withRunning([contestant.startApi()], async ([api]) => {
    const { url } = api as Running
    const load = { url, seconds, connections: CONNECTIONS, signal }
    await readPaths({ ...load, seconds: WARM_UP }, metricsFile)
    const metrics = await readPaths({ ...load, connections: 1 }, metricsFile)
    const { requests } = await readPaths({ ...load, seconds: WARM_UP }, file)
    const first = requests + CONNECTIONS
    const read = await readPaths(load, file, first)
    if (first + read.requests > READABLE)
      throw new Error(`${READABLE} rows are too few for ${read.requests} reads, of one row each`)
    return { drain: drained, read: read.rate, metrics_p50_ms: metrics.p50_ms, metrics_p99_ms: metrics.p99_ms }
  })
}

function add(bench: Bench, contestant: string, figures: Figures[]): void {
  bench.add('growth-drain', contestant, 'orders/s', column(figures, 'drain'))
  bench.add('growth-read', contestant, 'reads/s', column(figures, 'read'))
  const p50 = figures.map(({ metrics_p50_ms }) => ({ p50_ms: metrics_p50_ms }))
  bench.add('growth-metrics', contestant, 'ms', column(figures, 'metrics_p99_ms'), p50)
}

function compare(bench: Bench, label: string, few: Figures[], many: Figures[]): void {
  const by = (name: keyof Figures) => [column(many, name), column(few, name)] as const
  bench.compare(`drain: ${label} / ${FEW}`, 'growth', ...by('drain'))
  bench.compare(`read: ${label} / ${FEW}`, 'growth', ...by('read'))
  bench.compare(`p99 of /metrics: ${label} / ${FEW}`, 'metricsGrowth', ...by('metrics_p99_ms'))
}

function column(figures: Figures[], name: keyof Figures): number[] {
  return figures.map(each => each[name])
}
