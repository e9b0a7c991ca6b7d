import { join } from 'node:path'
import { startRedis } from '../local/redis.ts'
import { clusterArgs, joinServers } from '../local/redis-cluster.ts'
import { redisAccount } from './accounts.ts'
import { createMember, groupMembers, type Member, type MemberOptions } from './member.ts'
import { choosePorts } from './ports.ts'
import type { RedisAddress } from './stores.ts'

/** The ways in which a run has Redis: one server, or a cluster of three masters with a replica each. */
export const topologies = ['single', 'cluster'] as const
/** One way in which a run has Redis. */
export type Topology = (typeof topologies)[number]

/** A server of Redis. */
export interface RedisMember extends Member {
  address: RedisAddress
}

/** The Redis of the system. As a member, it is all its servers. */
export interface RedisStore extends Member {
  servers: readonly RedisMember[]
  /** The settings of the service. */
  env: Record<string, string>
}

const MASTERS = 3

/** Creates the Redis of a run. `start` starts every server, and makes one cluster of them. */
export async function createRedis(
  topology: Topology,
  { dir, ...options }: Pick<MemberOptions, 'incidents' | 'signal'> & { dir: string }
): Promise<RedisStore> {
  const cluster = topology === 'cluster'
  const ports = await choosePorts(cluster ? 2 * MASTERS : 1)
  const args = [...redisAccount, ...(cluster ? [...clusterArgs(), '--appendfsync', 'everysec'] : [])]
  const servers = ports.map((port, index): RedisMember => {
    const name = cluster ? `redis-${index + 1}` : 'redis'
    const launch = () => startRedis({ dir: join(dir, name), port, args, signal: options.signal })
    return { ...createMember({ name, launch, ...options }), address: { host: '127.0.0.1', port } }
  })
  const addresses = servers.map(({ address }) => address)
  const all = groupMembers('redis', servers)
  return {
    ...all,
    servers,
    start: async () => {
      await all.start()
      if (cluster) await joinServers(addresses, MASTERS)
    },
    env: cluster
      ? {
          REDIS_CLUSTER: 'true',
          REDIS_HOST: addresses.map(({ host, port }) => `${host}:${port}`).join(','),
          REDIS_MIN_REPLICAS: '1'
        }
      : { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(ports[0]) }
  }
}
