import type { Redis } from 'ioredis'
import { QUEUE } from './queue.ts'

/** Returns the number of orders that wait, wait for a retry, or are in flight. */
export async function depth(redis: Redis, prefix: string): Promise<number> {
  const key = (state: string) => `${prefix}:${QUEUE}:${state}`
  const counts = await Promise.all([
    redis.llen(key('wait')),
    redis.llen(key('active')),
    redis.zcard(key('prioritized')),
    redis.zcard(key('delayed'))
  ])
  return counts.reduce((sum, count) => sum + count, 0)
}
