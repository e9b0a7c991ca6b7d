import { writeFile } from 'node:fs/promises'
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

/** The id of a row that `addRows` wrote. */
export function rowId(number: number): string {
  return `${(number * STEP).toString(16).padStart(8, '0')}-row-${number}`
}

/** Writes a file of the paths of so many of the first `rows` rows, each at most once, drawn at random. */
export async function writePaths(file: string, rows: number, count: number): Promise<void> {
  const numbers = new Set<number>()
  while (numbers.size < count) numbers.add(Math.floor(Math.random() * rows))
  await writeFile(file, [...numbers].map(number => `/orders/${rowId(number)}\n`).join(''))
}
