import { Redis } from 'ioredis'
import type { LocalStore } from './redis.ts'

/** The address of a server. */
type Server = Pick<LocalStore, 'host' | 'port'>

/** What one server of a Redis Cluster says about itself. */
export interface ClusterNode<S extends Server = Server> {
  server: S
  id: string
  /** The id of its master; undefined if it is a master. */
  masterId: string | undefined
  /** Its configuration epoch. When two servers claim a slot, the one with the higher epoch is right. */
  epoch: number
  /** The first and the last slot of each range that it serves. A replica has none. */
  slots: [number, number][]
  /** Whether it is a replica that is connected to its master. */
  linked: boolean
}

/** The longest time in which a server must answer (ms). */
const WITHIN = 1000

/** Returns the servers of a cluster that answer, in the order of `servers`. */
export async function readNodes<S extends Server>(servers: readonly S[]): Promise<ClusterNode<S>[]> {
  const nodes = await Promise.all(servers.map(server => readNode(server).catch(() => undefined)))
  return nodes.filter(node => node !== undefined)
}

/** Returns the master that serves a slot; undefined if none answers. */
export function ownerOf<N extends ClusterNode>(nodes: readonly N[], slot: number): N | undefined {
  return nodes
    .filter(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
    .sort((one, other) => other.epoch - one.epoch)[0]
}

/** Returns the replicas of a master that are connected to it. */
export function replicasOf<N extends ClusterNode>(nodes: readonly N[], master: N): N[] {
  return nodes.filter(({ masterId, linked }) => masterId === master.id && linked)
}

/**
 * Reads the line of the server itself in CLUSTER NODES: id, address, flags, id of its master, two times, epoch, state of
 * the link, slots (https://redis.io/docs/latest/commands/cluster-nodes/#serialization-format).
 */
async function readNode<S extends Server>(server: S): Promise<ClusterNode<S>> {
  const { host, port } = server
  const client = new Redis({
    host,
    port,
    replyMapping: 'legacy',
    connectTimeout: WITHIN,
    commandTimeout: WITHIN,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null
  })
  client.on('error', () => {})
  try {
    const nodes = String(await client.cluster('NODES'))
    const replication = await client.info('replication')
    const own = nodes.split('\n').find(line => line.includes('myself')) ?? ''
    const [id = '', , , masterId, , , epoch, , ...slots] = own.split(' ')
    return {
      server,
      id,
      masterId: masterId === '-' ? undefined : masterId,
      epoch: Number(epoch),
      // A range in brackets is a slot that is being moved. Another entry has the slot itself.
      slots: slots.filter(range => !range.startsWith('[')).map(toRange),
      linked: replication.includes('master_link_status:up')
    }
  } finally {
    client.disconnect()
  }
}

function toRange(text: string): [number, number] {
  const [first = Number.NaN, last = first] = text.split('-').map(Number)
  return [first, last]
}
