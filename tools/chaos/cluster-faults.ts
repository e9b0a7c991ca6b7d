import { setTimeout as delay } from 'node:timers/promises'
import { moveSlot } from '../local/redis-cluster.ts'
import { type ClusterNode, ownerOf, readNodes, replicasOf } from '../local/redis-nodes.ts'
import type { Inject } from './faults.ts'
import type { ClusterFaultKind, Fault, FaultKind } from './plan.ts'
import type { RedisMember } from './redis.ts'
import { withServer, withServers } from './stores.ts'
import type { System } from './system.ts'

/** A server of the cluster and what it says about itself. */
type Node = ClusterNode<RedisMember['address']>

/** The longest wait for a change of the cluster, and the pause between two checks (ms). */
const CHANGE_WITHIN = 60_000
const BETWEEN = 50

/** The length of each pause that makes a replica slow, and the time between two pauses (ms). */
const SLOW = { pause: 350, run: 150 }

const nodesOf = ({ access }: System): Promise<Node[]> => readNodes(access.redis)

const slotOf = ({ access }: System, { partition = 0 }: Fault): number =>
  access.partitions[partition]?.slot ?? 0

/** Waits until the servers of the cluster are as wanted, and returns what was found. */
async function untilFound<T>(
  system: System,
  what: string,
  find: (nodes: Node[]) => T | undefined
): Promise<T> {
  const end = performance.now() + CHANGE_WITHIN
  for (;;) {
    const found = find(await nodesOf(system))
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`not within ${CHANGE_WITHIN / 1000} s: ${what}`)
    await delay(BETWEEN)
  }
}

/** Waits until every server answers, and each is a master with slots or a replica that is connected to one. */
function untilWhole(system: System): Promise<Node[]> {
  const { redis } = system.access
  return untilFound(system, 'each master has its replica', nodes => {
    const masters = nodes.filter(({ slots }) => slots.length > 0)
    const whole =
      nodes.length === redis.length &&
      masters.length === redis.length / 2 &&
      nodes.every(node => masters.includes(node) || node.linked)
    return whole ? nodes : undefined
  })
}

/** Returns the process of a server. */
function memberOf({ redis }: System, { server }: Node): RedisMember {
  return redis.servers.find(({ address }) => address === server) as RedisMember
}

/** Returns the master of the partition of a fault. */
async function masterOf(system: System, fault: Fault): Promise<Node> {
  return untilFound(system, 'the partition has a master', nodes => ownerOf(nodes, slotOf(system, fault)))
}

/** Returns the replica of the master of the partition of a fault. */
async function replicaOf(system: System, fault: Fault): Promise<Node> {
  return untilFound(system, 'the master has a replica', nodes => {
    const master = ownerOf(nodes, slotOf(system, fault))
    return master && replicasOf(nodes, master)[0]
  })
}

/** Waits until another server than `old` is the master of the partition. */
function untilReplaced(system: System, fault: Fault, old: Node): Promise<Node> {
  return untilFound(system, 'a replica replaces the master', nodes => {
    const owner = ownerOf(nodes, slotOf(system, fault))
    return owner && owner.id !== old.id ? owner : undefined
  })
}

/** How a server fails. */
type Failure = 'kill' | 'pause'

/** Kills or stops a server, and starts or continues it after `work`. */
async function without(member: RedisMember, how: Failure, work: () => Promise<unknown>): Promise<void> {
  if (how === 'kill') await member.kill()
  else member.signal('SIGSTOP')
  try {
    await work()
  } finally {
    if (how === 'kill') await member.start()
    else member.signal('SIGCONT')
  }
}

/** Makes the master fail until some time after its replica has replaced it. */
const failMaster =
  (how: Failure): Inject =>
  async (system, fault, signal) => {
    const master = await masterOf(system, fault)
    await without(memberOf(system, master), how, async () => {
      await untilReplaced(system, fault, master)
      await delay(fault.lasts, undefined, { signal })
    })
    await untilWhole(system)
  }

const failReplica =
  (how: Failure): Inject =>
  async (system, fault, signal) => {
    const member = memberOf(system, await replicaOf(system, fault))
    await without(member, how, () => delay(fault.lasts, undefined, { signal }))
    await untilWhole(system)
  }

/** Kills the master, then the server that has replaced it. */
const killBoth: Inject = async (system, fault, signal) => {
  const killMaster = failMaster('kill')
  await killMaster(system, fault, signal)
  await killMaster(system, fault, signal)
}

/** Stops the replica again and again, so that it is always late. The other servers do not count it as failed. */
const slowReplica: Inject = async (system, fault, signal) => {
  const member = memberOf(system, await replicaOf(system, fault))
  const end = performance.now() + fault.lasts
  try {
    while (performance.now() < end) {
      member.signal('SIGSTOP')
      await delay(SLOW.pause, undefined, { signal })
      member.signal('SIGCONT')
      await delay(SLOW.run, undefined, { signal })
    }
  } finally {
    member.signal('SIGCONT')
  }
  await untilWhole(system)
}

/** Makes every server close its connections to clients, and to its replica or its master. */
const cutLinks: Inject = async system => {
  for (const type of ['replica', 'master', 'normal'])
    await withServers(system.access, client => client.call('CLIENT', 'KILL', 'TYPE', type))
  await untilWhole(system)
}

/** Makes a replica replace its master without a loss. */
const failOver: Inject = async (system, fault) => {
  const master = await masterOf(system, fault)
  const { server } = await replicaOf(system, fault)
  await withServer(server, client => client.cluster('FAILOVER'))
  await untilReplaced(system, fault, master)
  await untilWhole(system)
}

/** Moves the slot of the partition to the next master. */
const reshard: Inject = async (system, fault) => {
  const slot = slotOf(system, fault)
  const nodes = await untilWhole(system)
  const masters = nodes.filter(({ slots }) => slots.length > 0)
  const from = masters.indexOf(ownerOf(nodes, slot) as Node)
  const to = masters[(from + 1) % masters.length] as Node
  await moveSlot(system.access.redis, slot, to.server)
  await untilFound(system, 'the slot has moved', now => (ownerOf(now, slot)?.id === to.id ? true : undefined))
}

/** The function that injects each fault of a cluster. */
export const clusterInjections: Record<ClusterFaultKind, Inject> = {
  'kill-master': failMaster('kill'),
  'pause-master': failMaster('pause'),
  'kill-both': killBoth,
  'kill-replica': failReplica('kill'),
  'pause-replica': failReplica('pause'),
  'slow-replica': slowReplica,
  'cut-links': cutLinks,
  failover: failOver,
  reshard
}

/** How often a fault of this kind makes a replica replace its master. */
export const FAILOVERS: Partial<Record<FaultKind, number>> = {
  'kill-master': 1,
  'pause-master': 1,
  'kill-both': 2,
  failover: 1
}

/** Returns the partitions and the servers that a fault will affect; nothing if it may affect all. */
export async function affectedBy(
  system: System,
  fault: Fault
): Promise<{ partitions?: number[]; ports?: number[] }> {
  if (fault.kind === 'cut-links') return {}
  const numbers = system.access.partitions.map((_, partition) => partition)
  if (fault.kind === 'reshard')
    return { partitions: numbers.filter(partition => partition === fault.partition), ports: [] }
  const nodes = await untilWhole(system)
  const master = ownerOf(nodes, slotOf(system, fault)) as Node
  const partitions = numbers.filter(
    partition => ownerOf(nodes, slotOf(system, { ...fault, partition })) === master
  )
  return { partitions, ports: [master, ...replicasOf(nodes, master)].map(({ server }) => server.port) }
}
