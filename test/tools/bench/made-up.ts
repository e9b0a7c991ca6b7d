import { type Results, ratio, type Series, series } from '../../../tools/bench/results.ts'

const machine = {
  processor: 'Intel(R) Xeon(R) Processor @ 2.60GHz',
  cores: 2,
  memory_gb: 16,
  system: 'Linux 6.1.0',
  node: '24.21.0',
  redis: '7.0.15',
  mysql: '10.11.14-MariaDB-0+deb12u2'
}

/** Rounds that are spread evenly around a figure. */
function around(figure: number, count = 5): number[] {
  return Array.from({ length: count }, (_, round) => figure * (0.96 + 0.02 * ((round * 3) % 5)))
}

const cpu = (name: string, [program = 0, redis = 0, mysql = 0]: number[]) => ({
  [`cpu_${name}_ms`]: program,
  cpu_redis_ms: redis,
  cpu_mysql_ms: mysql,
  [`rss_${name}_mb`]: 123.4
})

function accepting(contestant: string, rate: number, p99_ms: number, times: number[]): Series {
  const details = { p50_ms: p99_ms / 3, p99_ms, ...cpu('api', times) }
  return series(
    'accept',
    contestant,
    'orders/s',
    around(rate),
    around(1).map(() => details)
  )
}

function growing(phase: string, unit: string, figures: number[]): Series[] {
  const names = ['100,000 rows', '1,000,000 rows', '10,000,000 rows']
  const all = figures.map((figure, index) => series(phase, names[index] as string, unit, around(figure, 3)))
  // The largest table is compared with the smallest table, so these two are the last ones.
  return [...all.slice(1, 2), ...all.slice(0, 1), ...all.slice(2)]
}

/** Results of every phase, with made-up figures. */
export const full: Results = {
  at: '2026-01-31T12:00:00.000Z',
  extent: 'full',
  seconds: 912,
  machine,
  series: [
    accepting('limit', 14_321, 6.2, [66, 0.2, 0.1]),
    accepting('express', 1012, 120.4, [800, 80, 300]),
    accepting('bullmq', 4987, 22.9, [190, 60, 0.2]),
    accepting('orderstream (everysec)', 9876, 9.31, [88, 22, 12]),
    accepting('orderstream (always)', 8012, 12.6, [90, 30, 12]),
    series('batch', 'limit', 'orders/s', around(91_000)),
    series('batch', 'bullmq', 'orders/s', around(9100), [cpu('api', [45, 55])]),
    series('batch', 'orderstream (always), single POSTs', 'orders/s', around(8100), [
      cpu('api', [90, 30, 12])
    ]),
    series('batch', 'orderstream (always)', 'orders/s', around(42_000), [cpu('api', [12, 9, 3])]),
    series('read', 'constant', 'reads/s', around(21_000), [{ p50_ms: 2.9, p99_ms: 4.4 }]),
    series('read', 'orderstream (cached)', 'reads/s', around(18_765), [{ p50_ms: 3.3, p99_ms: 5.1 }]),
    series('read', 'orderstream (uncached)', 'reads/s', around(7654), [{ p50_ms: 8, p99_ms: 14.25 }]),
    series('drain', 'limit', 'orders/s', around(41_000, 3)),
    series('drain', 'bullmq', 'orders/s', around(1890, 3), [cpu('worker', [300, 70, 200])]),
    series('drain', 'orderstream (always)', 'orders/s', around(17_500, 3), [cpu('worker', [30, 9, 21])]),
    series('drain', 'express', 'orders/s', around(640, 3), [cpu('worker', [400, 90, 250])]),
    series('append', 'limit', 'messages/s', around(52_000, 3)),
    series('workers', '1 worker', 'orders/s', [17_400]),
    series('workers', '2 workers', 'orders/s', [21_800]),
    series('workers', '4 workers', 'orders/s', [20_900]),
    series('sustained', 'bullmq', 'orders/s', [1234.5]),
    series('sustained', 'orderstream (always)', 'orders/s', [5432.1]),
    series('end-to-end', 'bullmq', 'ms', [88.2], [{ p50_ms: 20.1, p99_ms: 88.2 }]),
    series('end-to-end', 'orderstream (always)', 'ms', [17.4], [{ p50_ms: 7.45, p99_ms: 17.4 }]),
    series('wait', 'bullmq', 'orders/s', around(1510), [{ p50_ms: 161, p99_ms: 402 }]),
    series('wait', 'orderstream (always)', 'orders/s', around(4321), [{ p50_ms: 57.3, p99_ms: 133 }]),
    series('memory', 'waiting order', 'bytes', [712.4]),
    series('memory', 'finished order', 'bytes', [398.7]),
    ...growing('growth-drain', 'orders/s', [17_300, 16_900, 16_200]),
    ...growing('growth-read', 'reads/s', [7700, 7650, 7300]),
    ...growing('growth-metrics', 'ms', [1.31, 1.29, 1.34]),
    series('growth-accept', '0 waiting', 'orders/s', around(9800, 3)),
    series('growth-accept', '1,000,000 waiting', 'orders/s', around(9700, 3))
  ],
  ratios: [
    ratio('accept: orderstream (everysec) / limit', [0.69, 0.7, 0.66], [1, 1, 1], { atLeast: 0.6 }),
    ratio('accept: orderstream (always) / limit', [0.4, 0.41, 0.45], [1, 1, 1], { atLeast: 0.48 }),
    ratio('p99 end to end: orderstream (always) / bullmq', [17.4], [88.2], { atMost: 0.3 }),
    ratio('workers: 2 workers / 1 worker', [21_800], [17_400])
  ]
}

/** The smallest results of a run. */
export const minimal: Results = {
  ...full,
  extent: 'check',
  seconds: 48,
  series: [series('accept', 'limit', 'orders/s', [14_321])],
  ratios: []
}
