import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { ORDER_FUNCTION, PLACED } from './streams.ts'

/** The configured count differs from the one that waiting orders were spread by. */
export class PartitionCountChanged extends Error {
  override name = 'PartitionCountChanged'
}

/**
 * Compares the configured number of partitions with the one kept in Redis. It may change only while no partition has
 * anything waiting, retrying or dead: otherwise ids would move to other slots, away from their messages and documents.
 * @throws {PartitionCountChanged} when it may not change now.
 */
export async function checkPartitionCount(client: Redis, keys: Keys): Promise<void> {
  // Read first: this runs with every probe, and a full or read-only server refuses a write that it need not see.
  const stored =
    (await client.get(keys.partitionCount())) ??
    (await client.set(keys.partitionCount(), keys.partitions, 'NX', 'GET'))
  const before = stored === null ? keys.partitions : Number(stored)
  if (before === keys.partitions) return
  for (let partition = 0; partition < before; partition++) {
    const waiting = await Promise.all([
      client.xlen(keys.stream(PLACED, partition)),
      client.zcard(keys.retry(ORDER_FUNCTION, partition)),
      client.xlen(keys.dead(ORDER_FUNCTION, partition))
    ])
    if (waiting.some(count => count > 0)) {
      throw new PartitionCountChanged(
        `STREAM_PARTITIONS is ${keys.partitions}, but orders are waiting, or are dead letters, in ${before} partitions. ` +
          `Start with STREAM_PARTITIONS=${before} until there are none, then change it.`
      )
    }
  }
  await client.set(keys.partitionCount(), keys.partitions)
}
