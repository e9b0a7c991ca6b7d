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
const FLUSHED_WITHIN = 300_000

/**
 * The settings of a flush. By default the server writes only 200 pages (3 MB) a second, and keeps most dirty pages in
 * memory.
 */
const FLUSH = {
  innodb_io_capacity_max: 20_000,
  innodb_io_capacity: 20_000,
  innodb_max_dirty_pages_pct: 0
}

/** Waits until bulk writes are on disk. Otherwise the server would write them during a measurement. */
export async function untilFlushed(place: Place): Promise<void> {
  const names = Object.keys(FLUSH)
  const [before = {}] = await place.sql<Record<string, string>>(
    `SELECT ${names.map(name => `@@GLOBAL.${name} AS ${name}`).join()}`
  )
  await setAll(place, FLUSH)
  const deadline = performance.now() + FLUSHED_WITHIN
  for (;;) {
    const dirty = await percentOfDirtyPages(place)
    if (dirty < DIRTY) break
    if (performance.now() > deadline)
      throw new Error(
        `${dirty.toFixed(0)} % of the pages of MySQL are not on disk after ${FLUSHED_WITHIN} ms`
      )
    await delay(200)
  }
  // The server lowers a capacity above its limit, so the limit comes last.
  await setAll(place, Object.fromEntries(names.toReversed().map(name => [name, Number(before[name])])))
}

async function setAll({ sql }: Place, settings: Record<string, number>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await sql(`SET GLOBAL ${name} = ?`, [value])
}

async function percentOfDirtyPages({ sql }: Place): Promise<number> {
  const rows = await sql<{ Variable_name: string; Value: string }>(
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_buffer_pool_pages_dirty', 'Innodb_buffer_pool_pages_total')"
  )
  const of = (name: string) => Number(rows.find(row => row.Variable_name.endsWith(name))?.Value)
  return (100 * of('_dirty')) / of('_total')
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
