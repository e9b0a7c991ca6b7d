import type { Audit } from '../../schema/audit.ts'
import type { MysqlStore } from '../stores/mysql.ts'
import type { RedisStore } from '../stores/redis.ts'
import { loadScript } from '../stores/script.ts'
import type { Keys } from '../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../streams/streams.ts'
import { readAcceptedSeen } from './accepted-seen.ts'
import { readTotals } from './totals.ts'

const auditScript = loadScript(new URL('audit.lua', import.meta.url))

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
  // Partitions that are no longer in use still have the figures of the orders that were accepted in them.
  const count = Math.max(keys.partitions, ...seen.map(({ partition }) => partition + 1))
  const partitions = await Promise.all(
    Array.from({ length: count }, (_, partition) => readPartition(redis, keys, partition))
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
  const [epoch, ...figures] = reply as [string | null, ...(string | number | null)[]]
  const [
    accepted = 0,
    duplicates = 0,
    conflicts = 0,
    redriving = 0,
    waiting = 0,
    retrying = 0,
    deadLetters = 0
  ] = figures.map(Number)
  return {
    epoch: epoch ?? '',
    accepted,
    waiting,
    retrying,
    redriving,
    duplicates,
    conflicts,
    deadLetters
  }
}
