import type { Redis } from 'ioredis'
import { streamKey } from './stream.ts'

/** Returns the number of orders that wait or are in flight. */
export async function depth(redis: Redis, prefix: string): Promise<number> {
  return redis.xlen(streamKey(prefix))
}
