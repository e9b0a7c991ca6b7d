import type { MysqlStore } from '../stores/mysql.ts'
import type { Transaction } from '../stores/transaction.ts'
import { drawSlot } from './totals.ts'

interface Numbered {
  /** `<epoch>:<number>`, or ''. */
  ordinal: string
  partition: number
}

/**
 * Notes the highest number of an accepted order that is written now, in the same transaction: proof, outside Redis, of
 * how far its counter had come.
 */
export async function noteAccepted(transaction: Transaction, orders: Numbered[]): Promise<void> {
  const highest = new Map<string, [epoch: string, partition: number, number: number]>()
  for (const { ordinal, partition } of orders) {
    if (ordinal === '') continue
    const colon = ordinal.indexOf(':')
    const epoch = ordinal.slice(0, colon)
    const number = Number(ordinal.slice(colon + 1))
    const key = `${epoch}:${partition}`
    if (number > (highest.get(key)?.[2] ?? 0)) highest.set(key, [epoch, partition, number])
  }
  if (highest.size === 0) return
  const slot = drawSlot()
  await transaction.run(
    'INSERT INTO accepted_seen (epoch, partition_no, highest, slot) VALUES ? ON DUPLICATE KEY UPDATE highest = GREATEST(highest, VALUES(highest))',
    [[...highest.values()].sort().map(row => [...row, slot])]
  )
}

/** How far each life of each partition's counter was seen to have come. */
export async function readAcceptedSeen(
  mysql: MysqlStore
): Promise<{ epoch: string; partition: number; highest: number }[]> {
  const rows = await mysql.rows<{ epoch: string; partition: number; highest: number }>(
    'SELECT epoch, partition_no AS `partition`, MAX(highest) AS highest FROM accepted_seen GROUP BY epoch, partition_no',
    []
  )
  return rows.map(row => ({ ...row, highest: Number(row.highest) }))
}
