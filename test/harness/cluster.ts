import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster } from 'ioredis'
import { afterAll, inject, onTestFinished } from 'vitest'
import { type LocalCluster, startRedisCluster } from '../../tools/local/redis-cluster.ts'
import { openSpace, type Space } from './space.ts'

/** A Redis Cluster of one test file, and a space in it. */
export interface ClusterSpace {
  cluster: LocalCluster
  /** A client of the cluster. The service does not use it. */
  client: Cluster
  /** Opens a space for the running test: a database, and a key prefix in the cluster. */
  space: () => Promise<Space>
}

/** Starts a cluster that only this file uses, and stops it after its tests. Call it once in a test file. */
export async function useCluster(options: { masters: number; replicas: number }): Promise<ClusterSpace> {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-cluster-'))
  const cluster = await startRedisCluster({ dir, ...options })
  const nodes = cluster.servers.map(({ host, port }) => ({ host, port }))
  const client = new Cluster(nodes)
  client.on('error', () => {})
  afterAll(async () => {
    client.disconnect()
    await cluster.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    cluster,
    client,
    space: async () => {
      const space = await openSpace({ ...inject('stores'), redis: nodes[0] as (typeof nodes)[number] })
      Object.assign(space.env, {
        REDIS_CLUSTER: 'true',
        REDIS_HOST: nodes.map(({ host, port }) => `${host}:${port}`).join(','),
        STREAM_PARTITIONS: '12'
      })
      onTestFinished(() => space.close())
      return space
    }
  }
}
