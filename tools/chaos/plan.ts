import { createRandom, type Random } from './random.ts'
import type { Topology } from './redis.ts'

/** The kinds of faults for every topology. `faults.ts` has a function for each kind. */
const commonKinds = [
  'kill-api',
  'kill-worker',
  'kill-mariadb',
  'pause-api',
  'pause-worker',
  'pause-mariadb',
  'cut-redis',
  'cut-mariadb',
  'read-only-mariadb',
  'purge-documents',
  'destroy-group'
] as const

/** The kinds of faults for a single Redis. */
const singleKinds = ['kill-redis', 'pause-redis', 'full-redis', 'deny-redis'] as const

/** The kinds of faults for a cluster. `cluster-faults.ts` has a function for each kind. */
const clusterKinds = [
  'kill-master',
  'pause-master',
  'kill-both',
  'kill-replica',
  'pause-replica',
  'slow-replica',
  'cut-links',
  'failover',
  'reshard'
] as const
/** A kind of fault of a cluster. */
export type ClusterFaultKind = (typeof clusterKinds)[number]

/** A kind of fault. */
export type FaultKind = (typeof commonKinds)[number] | (typeof singleKinds)[number] | ClusterFaultKind

/** The kinds of faults of each topology. */
export const faultKinds: Record<Topology, readonly FaultKind[]> = {
  single: [...commonKinds, ...singleKinds],
  cluster: [...commonKinds, ...clusterKinds]
}

/** The processes of the service, by name. */
export const serviceNames = ['api-1', 'api-2', 'worker-1', 'worker-2'] as const
/** The name of one process of the service, or of a store. */
export type MemberName = 'redis' | 'mariadb' | (typeof serviceNames)[number]

/**
 * The commands that a fault may forbid to the service, one at a time. They read new messages, claim messages of other
 * workers, run scripts and read documents. A script uses them before its first write, so it fails without effect.
 */
export const deniedCommands = ['xreadgroup', 'xautoclaim', 'evalsha', 'mget'] as const
/** A command that a fault forbids. */
export type DeniedCommand = (typeof deniedCommands)[number]

/** One planned fault. Times in milliseconds. */
export interface Fault {
  /** The time after the start of the load. */
  at: number
  kind: FaultKind
  target: MemberName
  /**
   * The time for which the process is killed or paused, or the store refuses commands; 0 if the fault has no duration.
   */
  lasts: number
  /** The command that `deny-redis` forbids. */
  command?: DeniedCommand
  /** The partition whose master, or its replica, has the fault; for `reshard`, the partition that is moved. */
  partition?: number
}

/** The parameters of a plan. */
export interface PlanOptions {
  seed: number
  /** The length of the load (ms). */
  duration: number
  /** The kinds of faults to draw. */
  kinds: readonly FaultKind[]
  partitions: number
}

/** The approximate time that the start of a killed process takes (ms). */
const RESTART = 1500

/** The approximate time until a cluster is whole again after a fault (ms), without the length of the fault. */
const RECOVERY: Record<ClusterFaultKind, number> = {
  'kill-master': 4000,
  'pause-master': 3000,
  'kill-both': 8000,
  'kill-replica': 2000,
  'pause-replica': 1000,
  'slow-replica': 1000,
  'cut-links': 1000,
  failover: 1500,
  reshard: 500
}

/** The kinds that are drawn twice as often as the others. */
const FREQUENT: readonly FaultKind[] = ['kill-master', 'pause-master', 'failover', 'reshard']

/** The times without a fault at the start and at the end of the load (ms). */
const LEAD_IN = 2000
const LEAD_OUT = 2000

/** The share of faults that begin during another fault. */
const OVERLAPS = 0.15

/**
 * Draws the faults of a run. It draws all kinds in a random order, some of them twice, before it repeats them, so that
 * they occur about equally often. Usually there is a gap after a fault. Sometimes the next fault begins before it is over.
 */
export function planFaults({ seed, duration, kinds, partitions }: PlanOptions): Fault[] {
  if (kinds.length === 0) return []
  const random = createRandom(seed, 'faults')
  const faults: Fault[] = []
  let deck: FaultKind[] = []
  let at = LEAD_IN
  for (;;) {
    if (deck.length === 0) deck = random.shuffle([...kinds, ...kinds.filter(kind => FREQUENT.includes(kind))])
    const kind = deck.pop() as FaultKind
    const fault: Fault = {
      at: Math.round(at),
      kind,
      target: drawTarget(kind, random),
      lasts: drawLength(kind, random),
      ...(kind === 'deny-redis' && { command: random.pick(deniedCommands) }),
      ...(isOfCluster(kind) && { partition: random.whole(0, partitions - 1) })
    }
    const recovery = isOfCluster(kind) ? RECOVERY[kind] : kind.startsWith('kill-') ? RESTART : 0
    const busy = fault.lasts + recovery
    if (at + busy > duration - LEAD_OUT) return faults
    faults.push(fault)
    at += random.chance(OVERLAPS) ? busy * random.next() : busy + random.between(1500, 6000)
  }
}

/** Returns whether a kind of fault is of the servers of a cluster. */
export function isOfCluster(kind: FaultKind): kind is ClusterFaultKind {
  return kind in RECOVERY
}

function drawTarget(kind: FaultKind, random: Random): MemberName {
  if (kind.endsWith('-api')) return random.pick(['api-1', 'api-2'])
  if (kind.endsWith('-worker')) return random.pick(['worker-1', 'worker-2'])
  return kind.endsWith('-mariadb') ? 'mariadb' : 'redis'
}

function drawLength(kind: FaultKind, random: Random): number {
  if (kind.startsWith('kill-')) return Math.round(random.between(0, 3000))
  if (kind.startsWith('pause-')) return Math.round(random.between(1000, 8000))
  if (/^(full|deny|read-only|slow)-/.test(kind)) return Math.round(random.between(2000, 6000))
  return 0
}

/** Describes a fault in one line: time, kind, target and length. */
export function describeFault({ at, kind, target, lasts, command, partition }: Fault): string {
  const length = lasts > 0 ? ` for ${(lasts / 1000).toFixed(1)} s` : ''
  const what = command ? ` without ${command}` : partition === undefined ? '' : ` of partition ${partition}`
  return `${(at / 1000).toFixed(1).padStart(7)} s  ${kind.padEnd(17)} ${target}${what}${length}`
}
