import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { SupersededEpoch } from './watermarks.ts'

/** The record in MySQL for one epoch of a partition's counter of accepted orders. */
export interface EpochRecord {
  epoch: string
  partition: number
  /** High watermark: the highest number of an accepted order that any process recorded. */
  highest: number
  /** Low watermark: every order up to this number is settled. */
  settledTo: number
  /** The number of lost orders that an operator has acknowledged; null before the first acknowledgement. */
  acknowledged: number | null
}

// The index begins with epoch, partition and kind. With the same GROUP BY, MySQL reads only the last number of each
// kind.
const RECORDS = `
  SELECT epoch, partition_no AS \`partition\`,
    MAX(highest) AS highest, MAX(ended_to) AS settledTo, MAX(acknowledged) AS acknowledged
  FROM (
    SELECT epoch, partition_no, highest, 0 AS ended_to, NULL AS acknowledged FROM accepted_seen
    UNION ALL
    SELECT epoch, partition_no, MAX(last_no), 0, NULL FROM accepted_ended GROUP BY epoch, partition_no, kind
    UNION ALL
    SELECT epoch, partition_no, GREATEST(highest, ended_to), ended_to, acknowledged FROM accepted_epochs
  ) AS records
  GROUP BY epoch, partition_no`

/**
 * Reads the records of all epochs. Workers of an older version write the high watermark to `accepted_seen`.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readEpochRecords(mysql: MysqlStore): Promise<EpochRecord[]> {
  const rows = await mysql.rows<Record<keyof EpochRecord, string | null>>(RECORDS, [])
  return rows.map(row => ({
    epoch: row.epoch as string,
    partition: Number(row.partition),
    highest: Number(row.highest),
    settledTo: Number(row.settledTo),
    acknowledged: row.acknowledged === null ? null : Number(row.acknowledged)
  }))
}

/**
 * Records that every order of these epochs is settled, and that their absence from Redis is no loss.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function recordReleased(mysql: MysqlStore, epochs: SupersededEpoch[]): Promise<void> {
  if (epochs.length === 0) return
  await mysql.transaction(({ run }) =>
    run(
      `INSERT INTO accepted_epochs (epoch, partition_no, highest, ended_to, acknowledged) VALUES ?
       ON DUPLICATE KEY UPDATE highest = GREATEST(highest, VALUES(highest)),
         ended_to = GREATEST(ended_to, VALUES(ended_to)), acknowledged = COALESCE(acknowledged, 0)`,
      [epochs.map(({ epoch, partition, count }) => [epoch, partition, count, count, 0])]
    )
  )
}

/**
 * Records the high watermarks of epochs. When several processes record the same epoch, MySQL keeps the highest
 * watermark.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function recordWatermarks(mysql: MysqlStore, epochs: SupersededEpoch[]): Promise<void> {
  await mysql.transaction(({ run }) =>
    run(
      `INSERT INTO accepted_epochs (epoch, partition_no, highest) VALUES ?
       ON DUPLICATE KEY UPDATE highest = GREATEST(highest, VALUES(highest))`,
      [epochs.map(({ epoch, partition, count }) => [epoch, partition, count])]
    )
  )
}
