import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/** The configured count differs from the one that waiting orders were spread by. */
export class PartitionCountChanged extends Error {
  override name = 'PartitionCountChanged'
}

/**
 * Compares the configured number of partitions with the one kept in Redis. It may change only while no partition has
 * anything waiting: otherwise ids would move to other slots, away from their messages and documents.
 * @throws {PartitionCountChanged} when it may not change now.
 */
export async function checkPartitionCount(client: Redis, keys: Keys, streams: string[]): Promise<void> {
  const stored = await client.set(keys.partitionCount(), keys.partitions, 'NX', 'GET')
  const before = stored === null ? keys.partitions : Number(stored)
  if (before === keys.partitions) return
  for (let partition = 0; partition < before; partition++) {
    for (const stream of streams) {
      if ((await client.xlen(keys.stream(stream, partition))) > 0) {
        throw new PartitionCountChanged(
          `STREAM_PARTITIONS is ${keys.partitions}, but orders are waiting in ${before} partitions. ` +
            `Start with STREAM_PARTITIONS=${before} until nothing waits, then change it.`
        )
      }
    }
  }
  await client.set(keys.partitionCount(), keys.partitions)
}
