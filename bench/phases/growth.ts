import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bench, inTurn, withRunning } from '../bench.ts'
import { type Contestant, orderstream, type Running } from '../contestants.ts'
import { drainMore } from '../drain.ts'
import type { Plan } from '../extents.ts'
import { readPaths } from '../load/wrk.ts'
import { addRows, writePaths } from '../rows.ts'

const CONNECTIONS = 64
const WARM_UP = 1

/** Rows that are read, once each, whatever the size of the table. */
const READABLE = 100_000

const FEW = 'no rows but those that are read'

interface Figures {
  drain: number
  read: number
  metrics_p50_ms: number
  metrics_p99_ms: number
}

/** What a table that grows does to the drain, to reads of its rows, and to the figures. */
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
    const found = await inTurn<string, Figures>(bench, 'growth', plan.rounds, {
      [FEW]: round => measure(bench, small, READABLE, round),
      [label]: round => measure(bench, large, size, round)
    })
    report(bench, label, found[FEW] as Figures[], found[label] as Figures[], size === plan.rows.at(-1))
  }
  await large.place.reset()
  await small.place.reset()
  await Promise.all([small, large].map(({ place }) => place.close()))
}

/** One round with a table of so many rows. */
async function measure(bench: Bench, contestant: Contestant, rows: number, round: number): Promise<Figures> {
  const { dir, signal, plan } = bench
  const { orders, seconds } = plan.growth as NonNullable<Plan['growth']>
  // Documents that an earlier round has put back would be read instead of rows.
  await contestant.place.redis.flushall()
  const file = join(dir, `growth-${round}`)
  await writePaths(file, rows, Math.min(rows, READABLE))
  const metricsFile = join(dir, 'metrics')
  await writeFile(metricsFile, '/metrics\n')
  const { rate: drained } = await drainMore(contestant, orders)
  return withRunning([contestant.startApi()], async ([api]) => {
    const { url } = api as Running
    const load = { url, seconds, connections: CONNECTIONS, signal }
    await readPaths({ ...load, seconds: WARM_UP }, metricsFile)
    const metrics = await readPaths({ ...load, connections: 1 }, metricsFile)
    const read = await readPaths(load, file)
    return { drain: drained, read: read.rate, metrics_p50_ms: metrics.p50_ms, metrics_p99_ms: metrics.p99_ms }
  })
}

function report(bench: Bench, label: string, few: Figures[], many: Figures[], last: boolean): void {
  const of = (figures: Figures[], name: keyof Figures) => figures.map(each => each[name])
  const add = (contestant: string, figures: Figures[]) => {
    bench.add('growth-drain', contestant, 'orders/s', of(figures, 'drain'))
    bench.add('growth-read', contestant, 'reads/s', of(figures, 'read'))
    const p50 = figures.map(({ metrics_p50_ms }) => ({ p50_ms: metrics_p50_ms }))
    bench.add('growth-metrics', contestant, 'ms', of(figures, 'metrics_p99_ms'), p50)
  }
  if (last) add(FEW, few)
  add(label, many)
  if (!last) return
  const versus = `${label} / ${FEW}`
  bench.compare(`drain: ${versus}`, 'growth', of(many, 'drain'), of(few, 'drain'))
  bench.compare(`read: ${versus}`, 'growth', of(many, 'read'), of(few, 'read'))
  bench.compare(
    `p99 of /metrics: ${versus}`,
    'metricsGrowth',
    of(many, 'metrics_p99_ms'),
    of(few, 'metrics_p99_ms')
  )
}
