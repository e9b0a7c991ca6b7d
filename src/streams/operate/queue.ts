import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'

const queueScript = loadScript(new URL('queue.lua', import.meta.url))

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
  const used = [
    keys.stream(PLACED, partition),
    keys.retry(ORDER_FUNCTION, partition),
    keys.settled(partition)
  ]
  // In one step: a stream or a group that vanishes between two would be an error.
  const reply = await redis.run(client => queueScript(client, used, []))
  const [depth, pending, oldest, seconds, retrying, redriving] = reply as [
    number,
    number,
    string | null,
    string,
    number,
    string | null
  ]
  const added = oldest === null ? Number(seconds) : Number(oldest.split('-', 1)[0]) / 1000
  return {
    depth,
    pending,
    oldestSeconds: Math.max(0, Number(seconds) - added),
    retrying: Math.max(0, retrying - (Number(redriving) || 0))
  }
}
