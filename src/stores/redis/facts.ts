import type { Redis } from 'ioredis'
import { StoreRefused } from '../errors.ts'
import { isRedisAnswer } from '../server-answer.ts'

/** What a Redis server guarantees. */
export interface RedisFacts {
  /** `fsync`: a write is on disk before its reply. `memory`: a write may be only in memory. */
  durability: 'fsync' | 'memory'
  /** Whether a full Redis may evict keys that have no TTL. */
  evicts: boolean
  /** The number of connected replicas. A server that refuses to name them may have any number. */
  replicas: number
  /** The replication id of the server; '' when it is unknown. */
  replicationId: string
  /** The replication id of the master that this server replaced; '' when it replaced none. */
  replacedId: string
}

/** What is known about a server that no probe has reached. */
export const NO_FACTS: RedisFacts = {
  durability: 'memory',
  evicts: false,
  replicas: 0,
  replicationId: '',
  replacedId: ''
}

/**
 * Reads what this Redis guarantees. Returns the weaker guarantee when a managed Redis forbids CONFIG.
 * @throws when no answer comes.
 */
export async function readFacts(client: Redis): Promise<RedisFacts> {
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
    ...(await readReplication(client))
  }
}

/** The replication id that means none. */
const NO_ID = /^0+$/

/** Reads the replication of a server: https://redis.io/docs/latest/commands/info/#replication */
async function readReplication(
  client: Redis
): Promise<Pick<RedisFacts, 'replicas' | 'replicationId' | 'replacedId'>> {
  try {
    const info = await client.info('replication')
    const field = (name: string) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1] ?? ''
    return {
      replicas: info.match(/^slave\d+:.*state=online/gm)?.length ?? 0,
      replicationId: field('master_replid'),
      replacedId: field('master_replid2').replace(NO_ID, '')
    }
  } catch (error) {
    if (isRedisAnswer(error) || error instanceof StoreRefused)
      return { replicas: Number.POSITIVE_INFINITY, replicationId: '', replacedId: '' }
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
