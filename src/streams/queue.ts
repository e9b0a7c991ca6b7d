import type { RedisStore } from '../stores/redis.ts'
import type { Keys } from './keys.ts'

/** How much work waits on a stream, over all its partitions. */
export interface QueueState {
  /** Messages that are not settled, delivered or not. */
  depth: number
  /** Those that a consumer has in hand. */
  pending: number
  /** Age of the oldest message in seconds; 0 when there is none. */
  oldestSeconds: number
}

/** Reads the state of a work queue; its cost does not depend on how much waits. */
export async function readQueue(redis: RedisStore, keys: Keys, stream: string): Promise<QueueState> {
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) =>
      readPartition(redis, keys.stream(stream, partition))
    )
  )
  return {
    depth: partitions.reduce((sum, { depth }) => sum + depth, 0),
    pending: partitions.reduce((sum, { pending }) => sum + pending, 0),
    oldestSeconds: Math.max(...partitions.map(({ oldestSeconds }) => oldestSeconds))
  }
}

async function readPartition(redis: RedisStore, stream: string): Promise<QueueState> {
  return redis.run(async client => {
    const [depth, first, [seconds], exists] = await Promise.all([
      client.xlen(stream),
      client.xrange(stream, '-', '+', 'COUNT', 1),
      client.time(),
      client.exists(stream)
    ])
    const groups = exists ? ((await client.xinfo('GROUPS', stream)) as unknown[][]) : []
    const added = first[0] ? Number(first[0][0].split('-', 1)[0]) / 1000 : Number(seconds)
    return {
      depth,
      pending: groups.reduce((sum, group) => sum + Number(group[group.indexOf('pending') + 1]), 0),
      oldestSeconds: Math.max(0, Number(seconds) - added)
    }
  })
}
