import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Counter } from './counter.ts'
import type { EpochRecord } from './epoch-records.ts'
import { countCovered, readOutcomes } from './outcomes.ts'

/** An epoch for which Redis has lost data, and the outcomes of the orders that Redis no longer counts. */
export interface Loss extends EpochRecord {
  /** The number of orders that are in neither store. */
  lost: number
  /** True when Redis still has the last count of the epoch: it began a new epoch after a failover, and lost nothing. */
  complete: boolean
  /** The number of duplicates in MySQL that Redis no longer counts. */
  duplicates: number
  /** The number of conflicts in MySQL that Redis no longer counts. */
  conflicts: number
}

/**
 * Finds the epochs for which Redis has lost data, and counts the lost orders. Redis no longer counts the numbers
 * between its own count and the high watermark. Each of these numbers is one order. The order is lost when its number
 * is above the low watermark and has no outcome in MySQL. A lost order is found by its
 * number, not from the difference of the audit's sum. The difference therefore still shows any other fault.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readLosses(
  mysql: MysqlStore,
  records: EpochRecord[],
  counters: Counter[]
): Promise<Loss[]> {
  const behind = [...records, ...unrecorded(records, counters)].flatMap(record => {
    const { epoch, count = 0, older } = counters[record.partition] ?? {}
    if (record.epoch === epoch) return count < record.highest ? [{ record, restored: count }] : []
    const restored = older?.get(record.epoch) ?? 0
    return [{ record: { ...record, highest: Math.max(record.highest, restored) }, restored }]
  })
  const outcomes = await readOutcomes(
    mysql,
    behind.map(({ record }) => record)
  )
  return behind.map(({ record, restored }) => {
    const { highest, settledTo } = record
    const ranges = outcomes.get(`${record.partition}:${record.epoch}`) ?? []
    const countOf = (kind: string) =>
      countCovered(
        ranges.filter(range => range.kind === kind),
        restored,
        highest
      )
    const known = Math.max(restored, settledTo)
    return {
      ...record,
      complete: restored >= highest,
      lost: highest - known - countCovered(ranges, known, highest),
      duplicates: countOf('duplicate'),
      conflicts: countOf('conflict')
    }
  })
}

/**
 * Makes records for older epochs that are only in Redis. MySQL has no outcome and no watermark for these epochs yet.
 */
function unrecorded(records: EpochRecord[], counters: Counter[]): EpochRecord[] {
  const known = new Set(records.map(({ epoch, partition }) => `${partition}:${epoch}`))
  return counters.flatMap(({ older }, partition) =>
    [...older.keys()]
      .filter(epoch => !known.has(`${partition}:${epoch}`))
      .map(epoch => ({ epoch, partition, highest: 0, settledTo: 0, acknowledged: null }))
  )
}

/** Counts the lost orders that nobody has acknowledged. Returns undefined when all losses are acknowledged. */
export function countUnacknowledged(losses: Loss[]): number | undefined {
  const open = losses.filter(({ lost, complete, acknowledged }) =>
    acknowledged === null ? !complete : lost > acknowledged
  )
  if (open.length === 0) return undefined
  return open.reduce((sum, { lost, acknowledged }) => sum + lost - (acknowledged ?? 0), 0)
}

/** The reason of an acknowledgement, and the request of the operator. */
export interface Acknowledgement {
  reason: string
  /** The address of the client. */
  client: string
  requestId: string
}

/**
 * Records that an operator acknowledges losses. `lost` is the number of orders that were unacknowledged until now.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function acknowledgeLosses(
  mysql: MysqlStore,
  losses: Loss[],
  lost: number,
  { reason, client, requestId }: Acknowledgement
): Promise<void> {
  await mysql.transaction(async ({ run }) => {
    await run(
      `INSERT INTO accepted_epochs (epoch, partition_no, highest, acknowledged) VALUES ?
       ON DUPLICATE KEY UPDATE highest = GREATEST(highest, VALUES(highest)), acknowledged = VALUES(acknowledged)`,
      [losses.map(({ epoch, partition, highest, lost }) => [epoch, partition, highest, lost])]
    )
    await run(
      'INSERT INTO loss_acknowledgements (acknowledged_at, lost, reason, client, request_id) VALUES (UTC_TIMESTAMP(3), ?, ?, ?, ?)',
      [lost, reason, client, requestId]
    )
  })
}
