import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Place } from './stores.ts'

/** Rows of one INSERT. */
const CHUNK = 500_000

/** How far the leading digits of one row's id are from those of the next: room for twenty million in eight digits. */
const STEP = Math.floor(2 ** 32 / 20_000_000)

/**
 * Writes the rows of finished orders, numbers `from` to before `to`, beside those that others wrote. Their ids are
 * spread over all that begin with eight digits, as `load/orders.lua` draws them, and come in order, so that ten million
 * take a minute or two.
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

/** Of all pages, how many may still have to be written to disk, in percent; and how long that may take (ms). */
const DIRTY = 5
const FLUSHED_WITHIN = 120_000

/** Waits until what was written in bulk is on disk: the server would go on with that beside what is measured. */
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
    if (performance.now() > deadline) throw new Error('the server does not come to write its pages to disk')
    await delay(200)
  }
  await sql('SET GLOBAL innodb_max_dirty_pages_pct = ?', [Number(before?.percent)])
}

/** The id of a row that `addRows` wrote. */
function rowId(number: number): string {
  return `${(number * STEP).toString(16).padStart(8, '0')}-row-${number}`
}

/** Writes a file of the paths of so many of the rows `from` to before `to`, each at most once, drawn at random. */
export async function writePaths(file: string, from: number, to: number, count: number): Promise<void> {
  const numbers = new Set<number>()
  while (numbers.size < count) numbers.add(from + Math.floor(Math.random() * (to - from)))
  await writeFile(file, [...numbers].map(number => `/orders/${rowId(number)}\n`).join(''))
}
