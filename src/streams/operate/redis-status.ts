import type { RedisConnection } from '../../../schema/http/health.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'

/** Returns the state of Redis for health and metrics, as the last probes found it. */
export function redisStatus(
  redis: RedisStore,
  { partitions }: Keys
): (typeof RedisConnection)['enum'][number] {
  if (redis.up()) return 'connected'
  return redis.unavailable().length < partitions ? 'partial' : 'disconnected'
}
