import type { DoneFault } from './inject.ts'
import { type FaultKind, isOfCluster } from './plan.ts'
import { overlaps, type Span } from './spans.ts'
import type { Stall } from './stalls.ts'

/** A time in which a store was unavailable, or lost documents, for some partitions or for all (undefined). */
export type Outage = Span & Pick<DoneFault, 'target' | 'partitions'>

/** Whose outages are meant: those of one api, and of one partition. */
export interface Affected {
  api?: string
  partition?: number
}

/**
 * The time for which an outage still has effects after its end (ms). After this time, every process has noticed that
 * the store is available.
 */
const NOTICE = 3000

const storeFaults: readonly FaultKind[] = [
  'kill-redis',
  'kill-mariadb',
  'pause-redis',
  'pause-mariadb',
  'cut-redis',
  'cut-mariadb',
  'full-redis',
  'deny-redis',
  'read-only-mariadb',
  'purge-documents'
]

/** Returns whether an outage, with the effects after its end, overlaps a time. */
export function isFelt({ began, ended }: Span, during: Span): boolean {
  return overlaps({ began, ended: ended + NOTICE }, during)
}

/** Returns whether a kind of fault is of a store. */
export function isOfStore(kind: FaultKind): boolean {
  return storeFaults.includes(kind) || isOfCluster(kind)
}

/**
 * Returns the outages of the stores. If an api is paused at the end of an outage, the outage lasts for this api until it
 * continues. Without an api, returns the real outages. Without a partition, returns those of all partitions.
 */
export function outagesOf(faults: DoneFault[], stalls: Stall[]): (affected?: Affected) => Outage[] {
  const ofStores = faults.filter(({ kind }) => isOfStore(kind))
  const outages: Outage[] = [...ofStores, ...stalls.map(stall => attribute(stall, ofStores))]
  const felt = new Map<string, Outage[]>()
  for (const [api, pauses] of Map.groupBy(
    faults.filter(({ kind }) => kind === 'pause-api'),
    ({ target }) => target
  )) {
    const longer = outages.map(outage => {
      const ends = pauses.filter(pause => isFelt(outage, pause)).map(pause => pause.ended)
      return { ...outage, ended: Math.max(outage.ended, ...ends) }
    })
    felt.set(api, longer)
  }
  return ({ api = '', partition } = {}) => {
    const all = felt.get(api) ?? outages
    return partition === undefined
      ? all
      : all.filter(({ partitions }) => partitions === undefined || partitions.includes(partition))
  }
}

/** Limits a stall of a server that had a fault to the partitions of this fault. Any other stall affects all partitions. */
function attribute(stall: Stall, faults: DoneFault[]): Outage {
  const { port } = stall
  const cause = faults.find(
    fault => port !== undefined && fault.ports?.includes(port) && isFelt(fault, stall)
  )
  return { ...stall, partitions: cause?.partitions }
}
