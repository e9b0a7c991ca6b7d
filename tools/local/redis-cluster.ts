import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type LocalStore, startRedis } from './redis.ts'

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
  const { dir, masters, replicas, nodeTimeout = 1000, args = [], signal } = options
  const count = masters * (1 + replicas)
  const settings = [
    ['--cluster-enabled', 'yes'],
    ['--cluster-node-timeout', String(nodeTimeout)],
    ['--cluster-require-full-coverage', 'no'],
    // A replica may replace its master even when it was cut off from it for longer.
    ['--cluster-replica-validity-factor', '0']
  ].flat()
  const start = (index: number, port?: number) =>
    startRedis({ dir: join(dir, String(index)), port, args: [...settings, ...args], signal })
  const servers = await Promise.all(Array.from({ length: count }, (_, index) => start(index)))
  const clients = servers.map(({ port }) => new Redis({ port, replyMapping: 'legacy' }))
  try {
    await connectServers(clients, servers, masters, replicas)
  } finally {
    for (const client of clients) client.disconnect()
  }
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

async function connectServers(
  clients: Redis[],
  servers: readonly LocalStore[],
  masters: number,
  replicas: number
): Promise<void> {
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
 * Moves a hash slot as `redis-cli --cluster reshard` does:
 * https://redis.io/docs/latest/commands/cluster-setslot/#redis-cluster-live-resharding-explained
 */
async function moveSlot(servers: readonly LocalStore[], slot: number, to: LocalStore): Promise<void> {
  const clients = new Map(servers.map(({ port }) => [port, new Redis({ port, replyMapping: 'legacy' })]))
  try {
    const target = clients.get(to.port) as Redis
    const ranges = (await target.cluster('SLOTS')) as unknown as [number, number, [string, number, string]][]
    const owner = ranges.find(([first, last]) => first <= slot && slot <= last)
    if (!owner) throw new Error(`slot ${slot} has no master`)
    const [, port, sourceId] = owner[2]
    if (port === to.port) return
    const source = clients.get(port) as Redis
    const targetId = (await target.cluster('MYID')) as string
    await target.cluster('SETSLOT', slot, 'IMPORTING', sourceId)
    await source.cluster('SETSLOT', slot, 'MIGRATING', targetId)
    for (;;) {
      const keys = (await source.cluster('GETKEYSINSLOT', slot, MOVE_KEYS)) as string[]
      if (keys.length === 0) break
      await source.call('MIGRATE', ['127.0.0.1', to.port, '', 0, MOVE_WITHIN, 'KEYS', ...keys])
    }
    await target.cluster('SETSLOT', slot, 'NODE', targetId)
    await source.cluster('SETSLOT', slot, 'NODE', targetId)
  } finally {
    for (const client of clients.values()) client.disconnect()
  }
}
