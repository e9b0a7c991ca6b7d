import type { MysqlStore } from '../../stores/mysql/store.ts'
import { countCovered, readEnded } from './ended.ts'
import type { AcceptedSeen } from './epochs.ts'

/** One epoch of which Redis has lost data, and what became of the orders that it has forgotten. */
export interface Loss extends AcceptedSeen {
  /** Orders that are in neither store. */
  lost: number
  /** Orders that ended in MySQL, and that Redis no longer counts as what they were. */
  duplicates: number
  conflicts: number
}

/** What Redis knows of a partition's counter: its epoch, its count, and how far it knows each older epoch to have come. */
export interface Counter {
  epoch: string
  count: number
  older: Map<string, number>
}

/**
 * Finds the epochs that Redis has lost data of, and counts their orders. Each number above what Redis still knows, up to
 * the highest that was seen, is an order that has ended in MySQL, or is lost: this counts numbers, and is not what is left
 * of the audit's sum, which would hide every other fault.
 */
export async function readLosses(
  mysql: MysqlStore,
  seen: AcceptedSeen[],
  counters: Counter[]
): Promise<Loss[]> {
  const behind = [...seen, ...unseen(seen, counters)].flatMap(row => {
    const { epoch, count = 0, older } = counters[row.partition] ?? {}
    if (row.epoch === epoch) return count < row.highest ? [{ row, restored: count }] : []
    const restored = older?.get(row.epoch) ?? 0
    return [{ row: { ...row, highest: Math.max(row.highest, restored) }, restored }]
  })
  const ended = await readEnded(
    mysql,
    behind.map(({ row }) => row)
  )
  return behind.map(({ row, restored }) => {
    const { highest, endedTo } = row
    const ranges = ended.get(`${row.partition}:${row.epoch}`) ?? []
    const of = (kind: string) =>
      countCovered(
        ranges.filter(range => range.kind === kind),
        restored,
        highest
      )
    const known = Math.max(restored, endedTo)
    return {
      ...row,
      lost: highest - known - countCovered(ranges, known, highest),
      duplicates: of('duplicate'),
      conflicts: of('conflict')
    }
  })
}

/** Older epochs that Redis knows and MySQL does not, since nothing of them has ended or been noted there yet. */
function unseen(seen: AcceptedSeen[], counters: Counter[]): AcceptedSeen[] {
  const known = new Set(seen.map(({ epoch, partition }) => `${partition}:${epoch}`))
  return counters.flatMap(({ older }, partition) =>
    [...older.keys()]
      .filter(epoch => !known.has(`${partition}:${epoch}`))
      .map(epoch => ({ epoch, partition, highest: 0, endedTo: 0, acknowledged: null }))
  )
}

/** How many lost orders nobody has acknowledged; undefined when there is no loss that is not acknowledged. */
export function unacknowledged(losses: Loss[]): number | undefined {
  const open = losses.filter(({ lost, acknowledged }) => acknowledged === null || lost > acknowledged)
  if (open.length === 0) return undefined
  return open.reduce((sum, { lost, acknowledged }) => sum + lost - (acknowledged ?? 0), 0)
}

/** Who acknowledges a loss, and why. */
export interface Acknowledgement {
  reason: string
  /** Address of the client. */
  client: string
  requestId: string
}

/** Records that an operator knows of losses. */
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
