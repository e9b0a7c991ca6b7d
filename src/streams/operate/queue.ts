import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import type { KnownFunction } from '../registry/known-functions.ts'

const queueScript = loadScript(new URL('queue.lua', import.meta.url))

/** The work that waits for the function of a queue, over all partitions. */
export interface QueueState {
  /** Messages that are not settled, in flight or not. */
  depth: number
  /** Messages in flight. */
  pending: number
  /** Age of the oldest message in seconds; 0 when there is none. */
  oldestSeconds: number
  /**
   * Messages that wait for another attempt. Redriven messages are not included: they count as dead letters until they
   * are settled.
   */
  retrying: number
}

/** The queue, and the function that consumes it. */
type Queue = Pick<KnownFunction, 'name' | 'stream'>

/**
 * Reads the state of a queue. The cost does not depend on the number of messages.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function readQueue(redis: RedisStore, keys: Keys, queue: Queue): Promise<QueueState> {
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) => readPartition(redis, keys, partition, queue))
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

async function readPartition(
  redis: RedisStore,
  keys: Keys,
  partition: number,
  { name, stream }: Queue
): Promise<QueueState> {
  const used = [keys.stream(stream, partition), keys.retry(name, partition), keys.settled(partition)]
  // One script reads everything: with several commands, a stream or a group that is removed in between would cause an
  // error.
  const reply = await redis.masterOf(partition).run(client => queueScript(client, used, []))
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
