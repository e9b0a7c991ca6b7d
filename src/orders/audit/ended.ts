import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'

/** How an accepted order has ended in MySQL: as a row, or because it is about a row that another message made. */
export type EndKind = 'row' | 'duplicate' | 'conflict'

/** An accepted order that has ended. */
export interface Ended {
  /** `<epoch>:<number>`, or '' for one that was not counted in Redis. */
  ordinal: string
  partition: number
  kind: EndKind
}

/** Numbers of one epoch that have ended in the same way, the last one included. */
export interface EndedRange {
  kind: EndKind
  first: number
  last: number
}

/**
 * Notes which accepted orders have ended, in the transaction that ends them: proof, outside Redis, of which ones are not
 * lost. A batch is mostly one range. A message that comes again is noted again, which changes nothing.
 */
export async function noteEnded(transaction: Transaction, ended: Ended[]): Promise<void> {
  const numbers = new Map<string, { of: [epoch: string, partition: number, kind: EndKind]; list: number[] }>()
  for (const { ordinal, partition, kind } of ended) {
    if (ordinal === '') continue
    const colon = ordinal.indexOf(':')
    const epoch = ordinal.slice(0, colon)
    const key = `${kind}:${partition}:${epoch}`
    let group = numbers.get(key)
    if (!group) {
      group = { of: [epoch, partition, kind], list: [] }
      numbers.set(key, group)
    }
    group.list.push(Number(ordinal.slice(colon + 1)))
  }
  const rows = [...numbers.values()].flatMap(({ of, list }) => toRanges(list).map(range => [...of, ...range]))
  if (rows.length === 0) return
  await transaction.run(
    'INSERT INTO accepted_ended (epoch, partition_no, kind, first_no, last_no) VALUES ?',
    [rows]
  )
}

/** Numbers in any order as the ranges that they form. */
function toRanges(numbers: number[]): [first: number, last: number][] {
  const ranges: [number, number][] = []
  for (const number of Float64Array.from(numbers).sort()) {
    const range = ranges.at(-1)
    if (range && number <= range[1] + 1) range[1] = number
    else ranges.push([number, number])
  }
  return ranges
}

/** Reads the ranges of some epochs, by `<partition>:<epoch>`. */
export async function readEnded(
  mysql: MysqlStore,
  epochs: { epoch: string; partition: number }[]
): Promise<Map<string, EndedRange[]>> {
  if (epochs.length === 0) return new Map()
  const rows = await mysql.rows<EndedRange & { epoch: string; partition: number }>(
    `SELECT epoch, partition_no AS \`partition\`, kind, first_no AS \`first\`, last_no AS \`last\`
     FROM accepted_ended WHERE (epoch, partition_no) IN (?)`,
    [epochs.map(({ epoch, partition }) => [epoch, partition])]
  )
  return Map.groupBy(
    rows.map(row => ({ ...row, first: Number(row.first), last: Number(row.last) })),
    ({ epoch, partition }) => `${partition}:${epoch}`
  )
}

/** How many numbers above `low`, up to `high`, lie in at least one of the ranges. */
export function countCovered(ranges: EndedRange[], low: number, high: number): number {
  let covered = 0
  let done = low
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const end = Math.min(last, high)
    if (end <= done) continue
    covered += end - Math.max(done, first - 1)
    done = end
  }
  return covered
}
