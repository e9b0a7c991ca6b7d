import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { type LocalSentinels, startRedisWithSentinels } from '../../tools/local/redis-sentinel.ts'

/**
 * Starts a master, a replica and `sentinels` sentinels that only this file uses, and stops them after its tests. Call it
 * once in a test file.
 */
export async function useSentinels(sentinels: number): Promise<LocalSentinels> {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-sentinels-'))
  const redis = await startRedisWithSentinels({ dir, replicas: 1, sentinels })
  afterAll(async () => {
    await redis.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return redis
}
