import type { Audit } from '../../../schema/http/audit.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'
import { readTotals } from '../tables/totals.ts'
import { type Counter, toCounter } from './counter.ts'
import { parseCount } from './epoch.ts'
import { readEpochRecords } from './epoch-records.ts'
import { type Acknowledgement, acknowledgeLosses, countUnacknowledged, readLosses } from './losses.ts'

const auditScript = loadScript(new URL('audit.lua', import.meta.url))

/** The figures of one partition in Redis. */
interface PartitionFigures {
  counter: Counter
  waiting: number
  retrying: number
  redriving: number
  duplicates: number
  conflicts: number
  deadLetters: number
}

/**
 * Adds up the outcomes of all accepted orders in both stores.
 * @throws {StoreUnavailable} when a store is unavailable, because the sum needs both stores.
 */
export async function readAudit(redis: RedisStore, mysql: MysqlStore, keys: Keys): Promise<Audit> {
  const { partitions, losses } = await readPartitions(redis, mysql, keys)
  // The rows are read last. An order that moves from Redis to MySQL in between is counted twice, but is never missed.
  const totals = await readTotals(mysql)
  const sum = (figure: keyof Omit<PartitionFigures, 'counter'>) =>
    partitions.reduce((total, own) => total + own[figure], 0)
  const sumOf = (figure: 'highest' | 'lost' | 'duplicates' | 'conflicts') =>
    losses.reduce((total, loss) => total + loss[figure], 0)
  // For an epoch that lost data, the sum uses the high watermark instead of the counter.
  const behind = new Set(losses.map(({ epoch }) => epoch))
  const counted = partitions.reduce(
    (total, { counter }) => total + (behind.has(counter.epoch) ? 0 : counter.count),
    0
  )

  const figures = {
    accepted: counted + totals.accepted + sumOf('highest'),
    duplicates: sum('duplicates') + sumOf('duplicates'),
    completed: totals.completed,
    failed: totals.failed,
    cancelled: totals.cancelled,
    in_flight: sum('waiting') + totals.processing,
    // A redriven message is a retry, but the row of its order is still failed. The order counts only as failed.
    retrying: sum('retrying') - sum('redriving'),
    conflicts: sum('conflicts') + sumOf('conflicts'),
    lost: sumOf('lost')
  }
  const { accepted, duplicates, ...outcomes } = figures
  const open = countUnacknowledged(losses)
  return {
    timestamp: new Date().toISOString(),
    ...figures,
    dead_letters: sum('deadLetters'),
    difference: accepted - duplicates - Object.values(outcomes).reduce((total, count) => total + count, 0),
    lost_unacknowledged: open ?? 0,
    redis_lost_data: open !== undefined
  }
}

/**
 * Acknowledges the orders that Redis has lost so far. The audit then reports only new losses as unacknowledged.
 * @returns the number of lost orders that this call acknowledged; undefined when no loss was unacknowledged.
 * @throws {StoreUnavailable} when a store is unavailable.
 */
export async function acknowledgeLoss(
  redis: RedisStore,
  mysql: MysqlStore,
  keys: Keys,
  acknowledgement: Acknowledgement
): Promise<number | undefined> {
  const { losses } = await readPartitions(redis, mysql, keys)
  const lost = countUnacknowledged(losses)
  if (lost !== undefined) await acknowledgeLosses(mysql, losses, lost, acknowledgement)
  return lost
}

/** Reads the figures of every partition, and finds the losses. */
async function readPartitions(redis: RedisStore, mysql: MysqlStore, keys: Keys) {
  // The watermarks are read before the counters: a counter that grows in between is then above its watermark, which is
  // not a loss. The outcomes are read last, so that an order that is settled in between is not missed.
  const records = await readEpochRecords(mysql)
  // A partition that is no longer in use still has the figures of its orders.
  const count = Math.max(keys.partitions, ...records.map(({ partition }) => partition + 1))
  const partitions = await Promise.all(
    Array.from({ length: count }, (_, partition) => readPartition(redis, keys, partition))
  )
  const losses = await readLosses(
    mysql,
    records,
    partitions.map(({ counter }) => counter)
  )
  return { partitions, losses }
}

/** Reads all figures of one partition at the same moment. */
async function readPartition(redis: RedisStore, keys: Keys, partition: number): Promise<PartitionFigures> {
  const used = [
    keys.accepted(partition),
    keys.settled(partition),
    keys.stream(PLACED, partition),
    keys.retry(ORDER_FUNCTION, partition),
    keys.dead(ORDER_FUNCTION, partition)
  ]
  const reply = await redis.masterOf(partition).run(client => auditScript(client, used, []))
  const [fields, ...figures] = reply as [string[], ...(string | number | null)[]]
  const [duplicates = 0, conflicts = 0, redriving = 0, waiting = 0, retrying = 0, deadLetters = 0] =
    figures.map(parseCount)
  return { counter: toCounter(fields), waiting, retrying, redriving, duplicates, conflicts, deadLetters }
}
