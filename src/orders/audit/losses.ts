import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { EpochRecord } from './epoch-records.ts'
import { countCovered, readOutcomes } from './outcomes.ts'

/** An epoch that Redis has lost data of, and the outcomes of the orders that Redis has forgotten. */
export interface Loss extends EpochRecord {
  /** Orders that are in neither store. */
  lost: number
  /** Messages with an outcome in MySQL that Redis no longer counts. */
  duplicates: number
  conflicts: number
}

/** A partition's counter of accepted orders, as Redis has it. */
export interface Counter {
  epoch: string
  count: number
  /** The last count of each older epoch. */
  older: Map<string, number>
}

/**
 * Finds the epochs that Redis has lost data of, and counts their lost orders. Every number above what Redis still
 * knows, up to the high watermark, is an order: it has an outcome in MySQL, or it is lost. Counting numbers keeps other
 * faults visible: the rest of the audit's sum would hide them.
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
      lost: highest - known - countCovered(ranges, known, highest),
      duplicates: countOf('duplicate'),
      conflicts: countOf('conflict')
    }
  })
}

/** Older epochs that only Redis knows: MySQL has no outcome and no watermark of them yet. */
function unrecorded(records: EpochRecord[], counters: Counter[]): EpochRecord[] {
  const known = new Set(records.map(({ epoch, partition }) => `${partition}:${epoch}`))
  return counters.flatMap(({ older }, partition) =>
    [...older.keys()]
      .filter(epoch => !known.has(`${partition}:${epoch}`))
      .map(epoch => ({ epoch, partition, highest: 0, settledTo: 0, acknowledged: null }))
  )
}

/** Counts the lost orders that nobody has acknowledged; undefined when no loss is open. */
export function countUnacknowledged(losses: Loss[]): number | undefined {
  const open = losses.filter(({ lost, acknowledged }) => acknowledged === null || lost > acknowledged)
  if (open.length === 0) return undefined
  return open.reduce((sum, { lost, acknowledged }) => sum + lost - (acknowledged ?? 0), 0)
}

/** The operator who acknowledges a loss, and the reason. */
export interface Acknowledgement {
  reason: string
  /** Address of the client. */
  client: string
  requestId: string
}

/**
 * Records that an operator acknowledges losses; `lost` is how many orders of them were open.
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
