import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Transaction } from '../../stores/mysql/transaction.ts'

/**
 * The outcome of the message of an accepted order in MySQL:
 * - `row`: the message wrote the row.
 * - `duplicate`: another message, or a spilled accept, wrote the row, with the same body.
 * - `conflict`: the row has another body.
 */
export type OutcomeKind = 'row' | 'duplicate' | 'conflict'

/** The outcome of one accepted order. */
export interface Outcome {
  /** `<epoch>:<number>`, or '' for an order that Redis did not count. */
  ordinal: string
  partition: number
  kind: OutcomeKind
}

/** Consecutive numbers of one epoch with the same outcome. The range includes `first` and `last`. */
export interface OutcomeRange {
  kind: OutcomeKind
  first: number
  last: number
}

/**
 * Records the outcomes of accepted orders. Call this in the transaction that writes the orders. The record proves which
 * orders are not lost, even when Redis loses its data. Most batches need one range. A message that is recorded twice
 * does not change the counts of the audit.
 */
export async function recordOutcomes(transaction: Transaction, outcomes: Outcome[]): Promise<void> {
  const groups = new Map<
    string,
    { of: [epoch: string, partition: number, kind: OutcomeKind]; list: number[] }
  >()
  for (const { ordinal, partition, kind } of outcomes) {
    if (ordinal === '') continue
    const colon = ordinal.indexOf(':')
    const epoch = ordinal.slice(0, colon)
    const key = `${kind}:${partition}:${epoch}`
    let group = groups.get(key)
    if (!group) {
      group = { of: [epoch, partition, kind], list: [] }
      groups.set(key, group)
    }
    group.list.push(Number(ordinal.slice(colon + 1)))
  }
  const rows = [...groups.values()].flatMap(({ of, list }) => toRanges(list).map(range => [...of, ...range]))
  if (rows.length === 0) return
  await transaction.run(
    'INSERT INTO accepted_ended (epoch, partition_no, kind, first_no, last_no) VALUES ?',
    [rows]
  )
}

/** Combines numbers into ranges. The numbers need not be sorted. */
function toRanges(numbers: number[]): [first: number, last: number][] {
  const ranges: [number, number][] = []
  for (const number of Float64Array.from(numbers).sort()) {
    const range = ranges.at(-1)
    if (range && number <= range[1] + 1) range[1] = number
    else ranges.push([number, number])
  }
  return ranges
}

/**
 * Reads the recorded outcomes of some epochs. The keys of the map are `<partition>:<epoch>`.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readOutcomes(
  mysql: MysqlStore,
  epochs: { epoch: string; partition: number }[]
): Promise<Map<string, OutcomeRange[]>> {
  if (epochs.length === 0) return new Map()
  const rows = await mysql.rows<OutcomeRange & { epoch: string; partition: number }>(
    `SELECT epoch, partition_no AS \`partition\`, kind, first_no AS \`first\`, last_no AS \`last\`
     FROM accepted_ended WHERE (epoch, partition_no) IN (?)`,
    [epochs.map(({ epoch, partition }) => [epoch, partition])]
  )
  return Map.groupBy(
    rows.map(row => ({ ...row, first: Number(row.first), last: Number(row.last) })),
    ({ epoch, partition }) => `${partition}:${epoch}`
  )
}

/** Counts the numbers above `low` and up to `high` that at least one range contains. */
export function countCovered(ranges: OutcomeRange[], low: number, high: number): number {
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
