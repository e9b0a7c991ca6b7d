import type { MysqlStore } from '../stores/mysql.ts'
import type { RedisStore } from '../stores/redis.ts'
import { createSettler } from '../streams/group.ts'
import type { Keys } from '../streams/keys.ts'
import type { Settlement } from '../streams/settlement.ts'
import { EVENTS } from '../streams/streams.ts'
import type { Documents } from './documents.ts'
import { orderEvent } from './events.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'

/** Most orders of one transaction. */
const SIZE = 500

interface OutboxRow extends OrderRow {
  outbox_id: string
  traceparent: string | null
  request_id: string | null
}

/**
 * Brings to Redis what the outbox holds: the documents of orders that were finished without it, as their rows now
 * stand, and their events. What is told is forgotten with the commit that follows: after a crash in between they are told
 * again, with the same event id.
 * @returns how many were told; when it is the most of one transaction, there may be more.
 */
export async function relayOutbox(
  mysql: MysqlStore,
  redis: RedisStore,
  keys: Keys,
  documents: Documents
): Promise<{ told: number; more: boolean }> {
  const told = await mysql.transaction(async transaction => {
    const rows = await transaction.rows<OutboxRow>(
      `SELECT outbox.id AS outbox_id, orders.traceparent, orders.request_id, ${COLUMNS.split(', ').map(column => `orders.${column}`)}
       FROM outbox JOIN orders USING (order_id) ORDER BY outbox.id LIMIT ${SIZE} FOR UPDATE SKIP LOCKED`,
      []
    )
    if (rows.length === 0) return 0
    // Before they are told: what MySQL refuses to forget would be told with every run.
    await transaction.run('DELETE FROM outbox WHERE id IN (?)', [rows.map(row => row.outbox_id)])
    const partitions = Map.groupBy(rows, row => keys.partitionOf(row.order_id))
    for (const [partition, own] of partitions) {
      const settle = createSettler({
        redis,
        keys,
        partition,
        name: 'outbox',
        stream: EVENTS,
        group: '',
        consumer: ''
      })
      const { refused } = await settle(own.map(row => toSettlement(row, documents)))
      // Nothing is forgotten then.
      for (const error of refused.values()) throw error
    }
    return rows.length
  })
  return { told, more: told === SIZE }
}

function toSettlement(row: OutboxRow, documents: Documents): Settlement {
  const order = fromRow(row)
  const write = documents.toWrite(order)
  const traceparent = row.traceparent ?? ''
  return {
    delivery: { source: 'none', id: row.order_id, token: '' },
    outcome: { kind: 'done' },
    counts: [],
    writes: [write],
    // Always told: a document that is final already may have been put back by a read, which tells nobody.
    events: [
      {
        ...orderEvent(order, write.value, traceparent),
        unless: '',
        requestId: row.request_id ?? '',
        traceparent
      }
    ]
  }
}
