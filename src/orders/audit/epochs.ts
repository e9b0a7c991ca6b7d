import type { MysqlStore } from '../../stores/mysql/store.ts'

/** What MySQL knows of one epoch of a partition's counter of accepted orders. */
export interface AcceptedSeen {
  epoch: string
  partition: number
  /** How far it was seen to have come. */
  highest: number
  /** Every order up to this one has reached an end. */
  endedTo: number
  /** How many of its orders are acknowledged as lost; null when nobody has acknowledged a loss. */
  acknowledged: number | null
}

/** By kind, as the index has it: it reads the last number of each, however many rows there are. */
const SEEN = `
  SELECT epoch, partition_no AS \`partition\`,
    MAX(highest) AS highest, MAX(ended_to) AS endedTo, MAX(acknowledged) AS acknowledged
  FROM (
    SELECT epoch, partition_no, highest, 0 AS ended_to, NULL AS acknowledged FROM accepted_seen
    UNION ALL
    SELECT epoch, partition_no, MAX(last_no), 0, NULL FROM accepted_ended GROUP BY epoch, partition_no, kind
    UNION ALL
    SELECT epoch, partition_no, GREATEST(highest, ended_to), ended_to, acknowledged FROM accepted_epochs
  ) AS seen
  GROUP BY epoch, partition_no`

/** Reads what is known of every epoch. `accepted_seen` is what workers of an older version write. */
export async function readAcceptedSeen(mysql: MysqlStore): Promise<AcceptedSeen[]> {
  const rows = await mysql.rows<Record<keyof AcceptedSeen, string | null>>(SEEN, [])
  return rows.map(row => ({
    epoch: row.epoch as string,
    partition: Number(row.partition),
    highest: Number(row.highest),
    endedTo: Number(row.endedTo),
    acknowledged: row.acknowledged === null ? null : Number(row.acknowledged)
  }))
}

/** An epoch that Redis has lost data of, as a process saw it. */
export interface LostEpoch {
  epoch: string
  partition: number
  highest: number
  /** The count that Redis has been restored to, where it is known. */
  restored: number | undefined
}

/** Notes how far epochs had come; of what several processes saw, the greatest count is kept. */
export async function noteHighest(mysql: MysqlStore, epochs: LostEpoch[]): Promise<void> {
  await mysql.transaction(({ run }) =>
    run(
      `INSERT INTO accepted_epochs (epoch, partition_no, highest, restored) VALUES ?
       ON DUPLICATE KEY UPDATE highest = GREATEST(highest, VALUES(highest)),
         restored = COALESCE(VALUES(restored), restored)`,
      [epochs.map(({ epoch, partition, highest, restored }) => [epoch, partition, highest, restored ?? null])]
    )
  )
}
