import type { FastifyBaseLogger } from 'fastify'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { appendDeadLetters, type NewDeadLetter } from '../../streams/dead-letters/append.ts'
import type { Keys } from '../../streams/keys.ts'
import { EVENTS } from '../../streams/names.ts'
import { identityOf } from '../identity.ts'
import { ORDER_FUNCTION } from '../names.ts'
import { renderPlaced, versionOf } from '../placed.ts'
import type { ToPublication } from '../publication.ts'
import { deleteAttempts } from '../tables/delete-attempts.ts'
import { COLUMNS, fromRow, type OrderRow, toIso } from '../tables/row.ts'
import { isFailedSpill } from './spill-attempts.ts'

const publishScript = loadScript(new URL('publish-outbox.lua', import.meta.url))

/** The most orders of one transaction. */
const SIZE = 500

/**
 * An order of the outbox, with its request. For a failed spilled order, the row also has the record of its attempts.
 */
interface OutboxRow extends OrderRow {
  outbox_id: string
  traceparent: string | null
  tax_rate: string | null
  attempts: number | null
  first_at: string | null
  last_at: string | null
  error: string | null
  message: string | null
}

const OUTBOX_COLUMNS = [
  'outbox.id AS outbox_id',
  ...['traceparent', 'tax_rate', ...COLUMNS.split(', ')].map(column => `orders.${column}`),
  ...['attempts', 'first_at', 'last_at', 'error', 'message'].map(column => `spill_attempts.${column}`)
].join(', ')

/** The dependencies of the publisher. */
export interface OutboxPublisherOptions {
  mysql: MysqlStore
  redis: RedisStore
  keys: Keys
  toPublication: ToPublication
}

/**
 * Publishes the orders of the outbox in Redis: the documents of the present rows, and the events. A failed spilled
 * order also gets a dead letter. Then the transaction commits, which deletes the orders from the outbox. After a crash
 * before the commit, they are published again with the same event ids. While Redis is full, all orders stay in the
 * outbox.
 * @returns the number of published orders, and whether there may be more.
 * @throws {StoreUnavailable} when a store is unavailable and no order was published.
 */
export async function publishOutbox(
  options: OutboxPublisherOptions
): Promise<{ published: number; more: boolean }> {
  const { mysql, redis, keys, toPublication } = options
  return mysql.transaction(async transaction => {
    const rows = await transaction.rows<OutboxRow>(
      `SELECT ${OUTBOX_COLUMNS}
       FROM outbox JOIN orders USING (order_id, tenant) LEFT JOIN spill_attempts USING (order_id, tenant)
       ORDER BY outbox.id LIMIT ${SIZE} FOR UPDATE SKIP LOCKED`,
      []
    )
    let published = 0
    for (const [partition, own] of Map.groupBy(rows, row => keys.partitionOf(identityOf(row)))) {
      // The rows of other partitions must not wait for a master that is unavailable.
      if (!redis.masterOf(partition).availability.up) continue
      // The DELETE comes first, so that nothing is published when MySQL refuses it. Otherwise every run would publish
      // the same orders.
      await transaction.run('DELETE FROM outbox WHERE id IN (?)', [own.map(row => row.outbox_id)])
      const failed = own.filter(isFailedSpill)
      if (failed.length > 0) await deleteAttempts(transaction, failed)
      try {
        if (failed.length > 0)
          await appendDeadLetters(redis, keys, ORDER_FUNCTION, partition, failed.map(toDeadLetter))
        const used = [keys.stream(EVENTS, partition), keys.accepted(partition)]
        await publish(redis.masterOf(partition), used, own, toPublication)
      } catch (error) {
        if (published === 0) throw error
        // Commits the published partitions. Otherwise every run would publish them again while Redis is full.
        await transaction.run('ROLLBACK TO SAVEPOINT published', [])
        return { published, more: false }
      }
      published += own.length
      await transaction.run('SAVEPOINT published', [])
    }
    return { published, more: published === SIZE }
  })
}

/**
 * Creates the task that publishes the outbox while Redis is available. A run logs the number of published orders. It
 * returns true when there may be more orders to publish, and throws the errors of `publishOutbox`.
 */
export function createOutboxPublisher(
  options: OutboxPublisherOptions & { log: FastifyBaseLogger }
): () => Promise<boolean> {
  return async () => {
    if (options.redis.unavailable().length === options.keys.partitions) return false
    const { published, more } = await publishOutbox(options)
    if (published > 0) options.log.info({ task: 'publish-outbox', orders: published }, 'outbox published')
    return more
  }
}

/** Makes the dead letter of a failed spilled order. Its message equals the message that an accept in Redis appends. */
function toDeadLetter(row: OutboxRow): NewDeadLetter {
  const order = fromRow(row)
  const { created_at, updated_at, failure } = order
  const time = (datetime: string | null) => Date.parse(datetime === null ? updated_at : toIso(datetime))
  const firstAt = Math.max(Date.parse(created_at), time(row.first_at))
  return {
    id: row.message_id as string,
    v: versionOf(order),
    data: renderPlaced(order, row.tax_rate ?? ''),
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
 * Publishes orders of one partition in one step. Events are published even when Redis has the final document already. A
 * read may have written that document, and a read publishes no event.
 */
async function publish(
  redis: RedisMaster,
  used: readonly string[],
  rows: OutboxRow[],
  toPublication: ToPublication
): Promise<void> {
  const keys = [...used]
  const args: (string | number)[] = []
  for (const row of rows) {
    const traceparent = row.traceparent ?? ''
    const { write, event } = toPublication(fromRow(row), traceparent)
    keys.push(write.key)
    args.push(write.value, write.ttl, event.data, row.request_id ?? '', traceparent)
  }
  await redis.run(client => publishScript(client, keys, args))
}
