import type { Redis } from 'ioredis'
import { StoreRefused } from '../errors.ts'
import { isRedisAnswer } from '../server-answer.ts'

/** What a Redis server guarantees. */
export interface RedisFacts {
  /** `fsync`: a write is on disk before its reply. `memory`: a write may be only in memory. */
  durability: 'fsync' | 'memory'
  /** Whether a full Redis may evict keys that have no TTL. */
  evicts: boolean
  /** The number of connected replicas. It is read only when accepts wait for replicas. */
  replicas: number
}

/** What is known about a server that no probe has reached. */
export const NO_FACTS: RedisFacts = { durability: 'memory', evicts: false, replicas: 0 }

/**
 * Reads what this Redis guarantees. `withReplicas` also counts the replicas. Returns the weaker guarantee when a managed Redis forbids CONFIG.
 * @throws when no answer comes.
 */
export async function readFacts(client: Redis, withReplicas: boolean): Promise<RedisFacts> {
  const reply = await readConfig(client, '*append*')
  const policy = await readConfig(client, 'maxmemory-policy')
  const settings = new Map<string, string>()
  const pairs = [...reply, ...policy]
  for (let i = 0; i + 1 < pairs.length; i += 2) settings.set(pairs[i] as string, pairs[i + 1] as string)
  const synced =
    settings.get('appendonly') === 'yes' &&
    settings.get('appendfsync') === 'always' &&
    // Otherwise nothing is synced while the log is rewritten.
    settings.get('no-appendfsync-on-rewrite') === 'no'
  return {
    durability: synced ? 'fsync' : 'memory',
    evicts: settings.get('maxmemory-policy')?.startsWith('allkeys-') ?? false,
    replicas: withReplicas ? await countReplicas(client) : 0
  }
}

/** Counts the connected replicas. A server that refuses to name them may have any number. */
async function countReplicas(client: Redis): Promise<number> {
  try {
    const [role, , replicas] = (await client.call('ROLE')) as [string, unknown, unknown[]]
    return role === 'master' ? replicas.length : 0
  } catch (error) {
    if (isRedisAnswer(error) || error instanceof StoreRefused) return Number.POSITIVE_INFINITY
    throw error
  }
}

/** Returns settings as name, value, name, value …; empty where the server refuses to list them. */
async function readConfig(client: Redis, pattern: string): Promise<string[]> {
  try {
    return (await client.call('CONFIG', 'GET', pattern)) as string[]
  } catch (error) {
    if (isRedisAnswer(error) || error instanceof StoreRefused) return []
    throw error
  }
}
