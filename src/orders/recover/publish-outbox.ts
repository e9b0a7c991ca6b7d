import { ORDER_PLACED_VERSION, type OrderPlaced } from '../../../schema/messages/order-placed.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { type NewLetter, putLetters } from '../../streams/dead-letters/append.ts'
import type { Keys } from '../../streams/keys.ts'
import { EVENTS } from '../../streams/names.ts'
import { orderEvent } from '../events.ts'
import { ORDER_FUNCTION } from '../names.ts'
import type { Documents } from '../read/documents.ts'
import { COLUMNS, fromRow, type OrderRow, toIso } from '../tables/row.ts'
import { deleteAttempts, isGivenUp } from './spill-attempts.ts'

const tellScript = loadScript(new URL('publish-finished.lua', import.meta.url))

/** Most orders of one transaction. */
const SIZE = 500

interface OutboxRow extends OrderRow {
  outbox_id: string
  traceparent: string | null
  request_id: string | null
  tax_rate: string | null
  attempts: number | null
  first_at: string | null
  last_at: string | null
  error: string | null
  message: string | null
}

/** What is read of each order: its row, what travels with it, and the attempts at one that was given up. */
const ROW = [
  'outbox.id AS outbox_id',
  ...['traceparent', 'request_id', 'tax_rate', ...COLUMNS.split(', ')].map(column => `orders.${column}`),
  ...['attempts', 'first_at', 'last_at', 'error', 'message'].map(column => `spill_attempts.${column}`)
].join(', ')

/**
 * Brings to Redis what the outbox holds: the documents of orders that were finished without it, as their rows now
 * stand, and their events. What is told is forgotten with the commit that follows: after a crash in between they are told
 * again, with the same event id. While Redis is full, all of it stays in the outbox. An order that was given up gets a dead
 * letter, too.
 * @returns how many were told; when it is the most of one transaction, there may be more.
 * @throws {StoreUnavailable} when none was told.
 */
export async function relayOutbox(
  mysql: MysqlStore,
  redis: RedisStore,
  keys: Keys,
  documents: Documents
): Promise<{ told: number; more: boolean }> {
  return mysql.transaction(async transaction => {
    const rows = await transaction.rows<OutboxRow>(
      `SELECT ${ROW}
       FROM outbox JOIN orders USING (order_id) LEFT JOIN spill_attempts USING (order_id)
       ORDER BY outbox.id LIMIT ${SIZE} FOR UPDATE SKIP LOCKED`,
      []
    )
    let told = 0
    for (const [partition, own] of Map.groupBy(rows, row => keys.partitionOf(row.order_id))) {
      // Before they are told: what MySQL refuses to forget would be told with every run.
      await transaction.run('DELETE FROM outbox WHERE id IN (?)', [own.map(row => row.outbox_id)])
      const givenUp = own.filter(isGivenUp)
      if (givenUp.length > 0)
        await deleteAttempts(
          transaction,
          givenUp.map(row => row.order_id)
        )
      try {
        if (givenUp.length > 0)
          await putLetters(redis, keys, ORDER_FUNCTION, partition, givenUp.map(toLetter))
        await tell(redis, keys.stream(EVENTS, partition), own, documents)
      } catch (error) {
        if (told === 0) throw error
        // Nor is what was told kept for those that could not be: it would be told with every run while Redis is full.
        await transaction.run('ROLLBACK TO SAVEPOINT told', [])
        return { told, more: false }
      }
      told += own.length
      await transaction.run('SAVEPOINT told', [])
    }
    return { told, more: told === SIZE }
  })
}

/** The dead letter of an order that was given up without Redis; its message is the one that the order would have had. */
function toLetter(row: OutboxRow): NewLetter {
  const { order_id, amount, created_at, updated_at, failure } = fromRow(row)
  const tax_rate = row.tax_rate ?? ''
  const placed: OrderPlaced = { order_id, amount, tax_rate, accepted_at: created_at }
  const time = (datetime: string | null) => Date.parse(datetime === null ? updated_at : toIso(datetime))
  const firstAt = Math.max(Date.parse(created_at), time(row.first_at))
  return {
    id: row.message_id as string,
    v: ORDER_PLACED_VERSION,
    data: JSON.stringify(placed),
    requestId: row.request_id ?? '',
    traceparent: row.traceparent ?? '',
    code: failure?.code ?? '',
    error: row.error ?? 'Error',
    message: row.message ?? failure?.detail ?? '',
    attempts: row.attempts ?? 1,
    firstAt,
    lastAt: time(row.last_at)
  }
}

/**
 * Tells of orders of one partition, in one step. They are told in any case: a document that is final already may have
 * been put back by a read, which tells nobody.
 */
async function tell(
  redis: RedisStore,
  events: string,
  rows: OutboxRow[],
  documents: Documents
): Promise<void> {
  const keys = [events]
  const args: (string | number)[] = []
  for (const row of rows) {
    const order = fromRow(row)
    const { key, value, ttl } = documents.toWrite(order)
    const traceparent = row.traceparent ?? ''
    keys.push(key)
    args.push(value, ttl, orderEvent(order, value, traceparent).data, row.request_id ?? '', traceparent)
  }
  await redis.run(client => tellScript(client, keys, args))
}
