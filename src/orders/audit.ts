import type { Audit } from '../../schema/audit.ts'
import type { MysqlStore } from '../stores/mysql.ts'
import type { RedisStore } from '../stores/redis.ts'
import type { Keys } from '../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../streams/streams.ts'
import { readAcceptedSeen } from './accepted-seen.ts'
import { readTotals } from './totals.ts'

interface PartitionFigures {
  epoch: string
  accepted: number
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
  // One after the other, each before what an order comes to next: an order that moves meanwhile may be counted twice, but
  // never be missing, and a counter can only be found ahead of what was seen of it.
  const seen = await readAcceptedSeen(mysql)
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) => readPartition(redis, keys, partition))
  )
  const totals = await readTotals(mysql)
  const sum = (figure: keyof Omit<PartitionFigures, 'epoch'>) =>
    partitions.reduce((total, own) => total + own[figure], 0)
  // Lives of a counter that Redis has forgotten count as far as they were seen to have come.
  const past = seen.filter(({ epoch, partition }) => partitions[partition]?.epoch !== epoch)
  const behind = seen.some(({ epoch, partition, highest }) => {
    const now = partitions[partition]
    return now?.epoch === epoch && now.accepted < highest
  })

  const figures = {
    accepted: sum('accepted') + totals.accepted + past.reduce((total, { highest }) => total + highest, 0),
    duplicates: sum('duplicates'),
    completed: totals.completed,
    failed: totals.failed,
    in_flight: sum('waiting') + totals.processing,
    // A failed order that is tried again is still a failed row.
    retrying: sum('retrying') - sum('redriving'),
    conflicts: sum('conflicts')
  }
  const ended = figures.completed + figures.failed + figures.in_flight + figures.retrying + figures.conflicts
  return {
    timestamp: new Date().toISOString(),
    ...figures,
    dead_letters: sum('deadLetters'),
    difference: figures.accepted - figures.duplicates - ended,
    redis_lost_data: past.length > 0 || behind
  }
}

/** The figures of one partition, read in one transaction, so that no message is between two of them. */
async function readPartition(redis: RedisStore, keys: Keys, partition: number): Promise<PartitionFigures> {
  const replies = await redis.run(client =>
    client
      .multi()
      .hmget(keys.accepted(partition), 'epoch', 'count')
      .hmget(keys.settled(partition), 'duplicates', 'conflicts', 'redriving')
      .xlen(keys.stream(PLACED, partition))
      .zcard(keys.retry(ORDER_FUNCTION, partition))
      .xlen(keys.dead(ORDER_FUNCTION, partition))
      .exec()
  )
  const values = (replies ?? []).map(([error, value]) => {
    if (error) throw error
    return value
  }) as [string[], string[], number, number, number]
  const [[epoch, accepted], [duplicates, conflicts, redriving], waiting, retrying, deadLetters] = values
  return {
    epoch: epoch ?? '',
    accepted: Number(accepted ?? 0),
    waiting,
    retrying,
    redriving: Number(redriving ?? 0),
    duplicates: Number(duplicates ?? 0),
    conflicts: Number(conflicts ?? 0),
    deadLetters
  }
}
