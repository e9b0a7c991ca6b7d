import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type LocalStore, startRedis } from './redis.ts'
import { ownerOf, readNodes } from './redis-nodes.ts'

/** A private Redis Cluster on 127.0.0.1. */
export interface LocalCluster {
  /** The servers. At the start, the first ones are the masters, and each has as many replicas as the others. */
  servers: readonly LocalStore[]
  /** Starts a server again that was killed, with its port and its data. */
  restart: (index: number) => Promise<void>
  /** Moves a hash slot with its keys to a master. */
  moveSlot: (slot: number, to: LocalStore) => Promise<void>
  stop: () => Promise<void>
}

/** The options of a private cluster. */
export interface ClusterOptions {
  /** The directory of the data. */
  dir: string
  masters: number
  /** The number of replicas of each master. */
  replicas: number
  /** The time after which a silent server counts as failed (ms). */
  nodeTimeout?: number
  /** Further arguments for each server. */
  args?: string[]
  signal?: AbortSignal | undefined
}

/** The number of hash slots of a cluster. */
const SLOTS = 16_384

/** The longest time until all servers agree on the cluster (ms). */
const AGREE_WITHIN = 30_000

/** Starts a new private Redis Cluster. Resolves when every server knows all others and every slot has a master. */
export async function startRedisCluster(options: ClusterOptions): Promise<LocalCluster> {
  const { dir, masters, replicas, nodeTimeout, args = [], signal } = options
  const count = masters * (1 + replicas)
  const settings = [...clusterArgs(nodeTimeout), ...args]
  const start = (index: number, port?: number) =>
    startRedis({ dir: join(dir, String(index)), port, args: settings, signal })
  const servers = await Promise.all(Array.from({ length: count }, (_, index) => start(index)))
  await joinServers(servers, masters)
  return {
    servers,
    restart: async index => {
      const { port, exited } = servers[index] as LocalStore
      await exited
      servers[index] = await start(index, port)
    },
    moveSlot: (slot, to) => moveSlot(servers, slot, to),
    stop: async () => {
      await Promise.all(servers.map(server => server.stop()))
    }
  }
}

/** Returns the arguments that make a Redis a server of a cluster. */
export function clusterArgs(nodeTimeout = 1000): string[] {
  return [
    ['--cluster-enabled', 'yes'],
    ['--cluster-node-timeout', String(nodeTimeout)],
    ['--cluster-require-full-coverage', 'no'],
    // By default, a replica waits five seconds for others before it copies its master.
    ['--repl-diskless-sync-delay', '0'],
    // A replica may replace its master even when it was cut off from it for longer.
    ['--cluster-replica-validity-factor', '0']
  ].flat()
}

/** A server of a cluster. */
type Server = Pick<LocalStore, 'port'>

/**
 * Makes one cluster of new servers. The first ones become the masters, and the others their replicas. Resolves when every
 * server knows all others and every slot has a master.
 */
export async function joinServers(servers: readonly Server[], masters: number): Promise<void> {
  const clients = servers.map(({ port }) => new Redis({ port, replyMapping: 'legacy' }))
  try {
    await connectServers(clients, servers, masters)
  } finally {
    for (const client of clients) client.disconnect()
  }
}

async function connectServers(clients: Redis[], servers: readonly Server[], masters: number): Promise<void> {
  const replicas = servers.length / masters - 1
  const [first] = clients as [Redis]
  for (const { port } of servers.slice(1)) await first.cluster('MEET', '127.0.0.1', port)
  await Promise.all(
    clients.slice(0, masters).map((client, index) => {
      const [from, to] = [index, index + 1].map(n => Math.round((n * SLOTS) / masters)) as [number, number]
      return client.call('CLUSTER', 'ADDSLOTSRANGE', from, to - 1)
    })
  )
  await untilAll(clients, async client => {
    const info = (await client.cluster('INFO')) as string
    return info.includes(`cluster_known_nodes:${clients.length}\r`) && info.includes('cluster_state:ok')
  })
  const ids = (await Promise.all(clients.slice(0, masters).map(client => client.cluster('MYID')))) as string[]
  await Promise.all(
    clients
      .slice(masters)
      .map((client, index) => client.cluster('REPLICATE', ids[Math.floor(index / replicas)] as string))
  )
  await untilAll(clients.slice(masters), async client => {
    const info = await client.info('replication')
    return info.includes('role:slave') && info.includes('master_link_status:up')
  })
}

async function untilAll(clients: Redis[], holds: (client: Redis) => Promise<boolean>): Promise<void> {
  const end = performance.now() + AGREE_WITHIN
  while (!(await Promise.all(clients.map(holds))).every(Boolean)) {
    if (performance.now() > end) throw new Error('the servers of the cluster do not agree')
    await delay(50)
  }
}

/** The number of keys that one command moves, and the longest time that it may take (ms). */
const MOVE_KEYS = 100
const MOVE_WITHIN = 10_000

/**
 * Moves a hash slot with its keys to a master, as `redis-cli --cluster reshard` does:
 * https://redis.io/docs/latest/commands/cluster-setslot/#redis-cluster-live-resharding-explained
 */
export async function moveSlot(
  servers: readonly Pick<LocalStore, 'host' | 'port'>[],
  slot: number,
  to: Server
): Promise<void> {
  const nodes = await readNodes(servers)
  const from = ownerOf(nodes, slot)
  const target = nodes.find(({ server }) => server.port === to.port)
  if (!from || !target) throw new Error(`slot ${slot} has no master, or no master to move to`)
  if (from === target) return
  const [source, destination] = [from, target].map(
    ({ server }) => new Redis({ port: server.port, replyMapping: 'legacy' })
  ) as [Redis, Redis]
  try {
    await destination.cluster('SETSLOT', slot, 'IMPORTING', from.id)
    await source.cluster('SETSLOT', slot, 'MIGRATING', target.id)
    for (;;) {
      const keys = (await source.cluster('GETKEYSINSLOT', slot, MOVE_KEYS)) as string[]
      if (keys.length === 0) break
      await source.call('MIGRATE', ['127.0.0.1', to.port, '', 0, MOVE_WITHIN, 'KEYS', ...keys])
    }
    await destination.cluster('SETSLOT', slot, 'NODE', target.id)
    await source.cluster('SETSLOT', slot, 'NODE', target.id)
  } finally {
    for (const client of [source, destination]) client.disconnect()
  }
}
