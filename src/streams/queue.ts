import type { RedisStore } from '../stores/redis.ts'
import type { Keys } from './keys.ts'
import { ORDER_FUNCTION, PLACED } from './streams.ts'

/** How much work waits on the queue of accepted orders, over all its partitions. */
export interface QueueState {
  /** Messages that are not settled, delivered or not. */
  depth: number
  /** Those that a consumer has in hand. */
  pending: number
  /** Age of the oldest message in seconds; 0 when there is none. */
  oldestSeconds: number
  /** Messages that failed and wait for another attempt, aside from orders that have failed for good and are redriven. */
  retrying: number
}

/** Reads the state of the queue; its cost does not depend on how much waits. */
export async function readQueue(redis: RedisStore, keys: Keys): Promise<QueueState> {
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) => readPartition(redis, keys, partition))
  )
  const sum = (figure: 'depth' | 'pending' | 'retrying') =>
    partitions.reduce((total, own) => total + own[figure], 0)
  return {
    depth: sum('depth'),
    pending: sum('pending'),
    oldestSeconds: Math.max(...partitions.map(({ oldestSeconds }) => oldestSeconds)),
    retrying: sum('retrying')
  }
}

async function readPartition(redis: RedisStore, keys: Keys, partition: number): Promise<QueueState> {
  const stream = keys.stream(PLACED, partition)
  return redis.run(async client => {
    const [depth, first, [seconds], exists, retrying, redriving] = await Promise.all([
      client.xlen(stream),
      client.xrange(stream, '-', '+', 'COUNT', 1),
      client.time(),
      client.exists(stream),
      client.zcard(keys.retry(ORDER_FUNCTION, partition)),
      client.hget(keys.settled(partition), 'redriving')
    ])
    const groups = exists ? ((await client.xinfo('GROUPS', stream)) as unknown[][]) : []
    const added = first[0] ? Number(first[0][0].split('-', 1)[0]) / 1000 : Number(seconds)
    return {
      depth,
      pending: groups.reduce((sum, group) => sum + Number(group[group.indexOf('pending') + 1]), 0),
      oldestSeconds: Math.max(0, Number(seconds) - added),
      retrying: Math.max(0, retrying - Number(redriving ?? 0))
    }
  })
}
