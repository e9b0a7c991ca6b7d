import type { Audit } from '../../../schema/http/audit.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'
import { readTotals } from '../tables/totals.ts'
import { toCount } from './epoch.ts'
import { readAcceptedSeen } from './epochs.ts'
import {
  type Acknowledgement,
  acknowledgeLosses,
  type Counter,
  readLosses,
  unacknowledged
} from './losses.ts'

const auditScript = loadScript(new URL('audit.lua', import.meta.url))

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
 * Adds up what became of every order, from both stores.
 * @throws {StoreUnavailable} when one of them is away: half a proof is none.
 */
export async function readAudit(redis: RedisStore, mysql: MysqlStore, keys: Keys): Promise<Audit> {
  const { partitions, losses } = await readPartitions(redis, mysql, keys)
  // Last: an order of a past epoch that ends meanwhile may be counted as lost and as a row, but never be missing.
  const totals = await readTotals(mysql)
  const sum = (figure: keyof Omit<PartitionFigures, 'counter'>) =>
    partitions.reduce((total, own) => total + own[figure], 0)
  const sumOf = (figure: 'highest' | 'lost' | 'duplicates' | 'conflicts') =>
    losses.reduce((total, loss) => total + loss[figure], 0)
  // Epochs that Redis has lost data of count as far as they were seen to have come.
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
    in_flight: sum('waiting') + totals.processing,
    // A failed order that is tried again is still a failed row.
    retrying: sum('retrying') - sum('redriving'),
    conflicts: sum('conflicts') + sumOf('conflicts'),
    lost: sumOf('lost')
  }
  const { accepted, duplicates, ...ends } = figures
  const unknown = unacknowledged(losses)
  return {
    timestamp: new Date().toISOString(),
    ...figures,
    dead_letters: sum('deadLetters'),
    difference: accepted - duplicates - Object.values(ends).reduce((total, count) => total + count, 0),
    lost_unacknowledged: unknown ?? 0,
    redis_lost_data: unknown !== undefined
  }
}

/**
 * Acknowledges what Redis has lost so far, so that the audit shows only what it loses from now on.
 * @returns how many lost orders are acknowledged now; undefined when there was no loss to acknowledge.
 * @throws {StoreUnavailable} when a store is away.
 */
export async function acknowledgeLoss(
  redis: RedisStore,
  mysql: MysqlStore,
  keys: Keys,
  acknowledgement: Acknowledgement
): Promise<number | undefined> {
  const { losses } = await readPartitions(redis, mysql, keys)
  const lost = unacknowledged(losses)
  if (lost !== undefined) await acknowledgeLosses(mysql, losses, lost, acknowledgement)
  return lost
}

/** What each partition says in Redis, and the epochs of which it has lost data. */
async function readPartitions(redis: RedisStore, mysql: MysqlStore, keys: Keys) {
  // One after the other, each before what an order comes to next: an order that moves meanwhile may be counted twice, but
  // never be missing, and a counter can only be found ahead of what was seen of it.
  const seen = await readAcceptedSeen(mysql)
  // Partitions that are no longer in use still have the figures of the orders that were accepted in them.
  const count = Math.max(keys.partitions, ...seen.map(({ partition }) => partition + 1))
  const partitions = await Promise.all(
    Array.from({ length: count }, (_, partition) => readPartition(redis, keys, partition))
  )
  const losses = await readLosses(
    mysql,
    seen,
    partitions.map(({ counter }) => counter)
  )
  return { partitions, losses }
}

/** The figures of one partition, all of the same moment. */
async function readPartition(redis: RedisStore, keys: Keys, partition: number): Promise<PartitionFigures> {
  const used = [
    keys.accepted(partition),
    keys.settled(partition),
    keys.stream(PLACED, partition),
    keys.retry(ORDER_FUNCTION, partition),
    keys.dead(ORDER_FUNCTION, partition)
  ]
  const reply = await redis.run(client => auditScript(client, used, []))
  const [fields, ...figures] = reply as [string[], ...(string | number | null)[]]
  const [duplicates = 0, conflicts = 0, redriving = 0, waiting = 0, retrying = 0, deadLetters = 0] =
    figures.map(toCount)
  return { counter: toCounter(fields), waiting, retrying, redriving, duplicates, conflicts, deadLetters }
}

/** The hash `accepted`; it has a field `epoch:<name>` for each older epoch that this Redis knows. */
function toCounter(fields: string[]): Counter {
  const counter: Counter = { epoch: '', count: 0, older: new Map() }
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [fields[i] as string, fields[i + 1] as string]
    if (name === 'epoch') counter.epoch = value
    else if (name === 'count') counter.count = toCount(value)
    else if (name.startsWith('epoch:')) counter.older.set(name.slice('epoch:'.length), toCount(value))
  }
  return counter
}
