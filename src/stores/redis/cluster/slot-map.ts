import type { Redis } from 'ioredis'
import { type Address, toAddress } from '../address.ts'

/** What one server of a cluster knows about the cluster. */
export interface SlotMap {
  /** The epoch of the cluster that the server has seen. After a failover, it is higher. */
  epoch: number
  /** The master of each slot; empty where no master has the slot. */
  owners: (Address | undefined)[]
  /** All servers, masters and replicas. */
  servers: Address[]
}

type Node = [host: string | null, port: number, ...rest: unknown[]]
type Range = [first: number, last: number, master: Node, ...replicas: Node[]]

/**
 * Reads which master has each slot. `asked` is the address of the server that is asked.
 * @throws {StoreUnavailable} when the server does not answer, or is not part of a cluster.
 */
export async function readSlotMap(client: Redis, asked: Address): Promise<SlotMap> {
  const [ranges, info] = await Promise.all([
    client.cluster('SLOTS') as Promise<unknown> as Promise<Range[]>,
    client.cluster('INFO')
  ])
  const owners: SlotMap['owners'] = []
  const servers = new Set<string>()
  for (const [first, last, master, ...replicas] of ranges) {
    const address = addressOf(master, asked)
    for (let slot = first; slot <= last; slot++) owners[slot] = address
    for (const node of [master, ...replicas]) {
      const known = addressOf(node, asked)
      if (known) servers.add(known)
    }
  }
  const epoch = Number(/^cluster_current_epoch:(\d+)/m.exec(info)?.[1] ?? 0)
  return { epoch, owners, servers: [...servers] }
}

/** Returns the address of a node. A node without a host is at the host that was asked; `?` is an unknown host. */
function addressOf([host, port]: Node, asked: Address): Address | undefined {
  if (host === '?') return undefined
  return toAddress(host || asked.slice(0, asked.lastIndexOf(':')), port)
}
