import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Place } from './stores.ts'

/** The number of rows of one INSERT. */
const CHUNK = 500_000

/** The distance between the first eight hexadecimal digits of two ids. It allows twenty million rows. */
const STEP = Math.floor(2 ** 32 / 20_000_000)

/**
 * Writes the rows of finished orders with the numbers `from` to `to` − 1. Their ids are spread like the ids of
 * `load/orders.lua`. The rows are written in the order of their ids, so that ten million rows take only two minutes.
 */
export async function addRows({ sql }: Place, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += CHUNK) {
    await sql(
      `INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at, message_id)
       SELECT CONCAT(LOWER(LPAD(HEX(seq * ${STEP}), 8, '0')), '-row-', seq), 100, 18, 118, 'completed',
         UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), CONCAT(1700000000000 + seq, '-0')
       FROM seq_${first}_to_${Math.min(first + CHUNK, to) - 1}`
    )
  }
}

/** The percentage of dirty pages that may remain, and the longest time of the flush (ms). */
const DIRTY = 5
const FLUSHED_WITHIN = 120_000

/** Waits until bulk writes are on disk. Otherwise the server would write them during a measurement. */
export async function untilFlushed({ sql }: Place): Promise<void> {
  const [before] = await sql<{ percent: string }>('SELECT @@GLOBAL.innodb_max_dirty_pages_pct AS percent')
  await sql('SET GLOBAL innodb_max_dirty_pages_pct = 0')
  const deadline = performance.now() + FLUSHED_WITHIN
  for (;;) {
    const rows = await sql<{ Variable_name: string; Value: string }>(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_buffer_pool_pages_dirty', 'Innodb_buffer_pool_pages_total')"
    )
    const of = (name: string) => Number(rows.find(row => row.Variable_name.endsWith(name))?.Value)
    if (of('_dirty') / of('_total') < DIRTY / 100) break
    if (performance.now() > deadline) throw new Error('the server did not write its pages to disk in time')
    await delay(200)
  }
  await sql('SET GLOBAL innodb_max_dirty_pages_pct = ?', [Number(before?.percent)])
}

/** Returns the id of a row that `addRows` writes. */
function rowId(number: number): string {
  return `${(number * STEP).toString(16).padStart(8, '0')}-row-${number}`
}

/** Writes a file with `count` random paths of the rows `from` to `to` − 1, each path at most once. */
export async function writePaths(file: string, from: number, to: number, count: number): Promise<void> {
  const numbers = new Set<number>()
  while (numbers.size < count) numbers.add(from + Math.floor(Math.random() * (to - from)))
  await writeFile(file, [...numbers].map(number => `/orders/${rowId(number)}\n`).join(''))
}
