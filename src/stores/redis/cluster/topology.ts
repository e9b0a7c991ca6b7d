import { setTimeout as delay } from 'node:timers/promises'
import { singleFlight } from '../../../async/single-flight.ts'
import type { Address } from '../address.ts'
import { SLOTS } from './slot.ts'
import type { SlotMap } from './slot-map.ts'

/** The pause between two looks at the cluster, and the pause while a master is unavailable (ms). */
const INTERVAL = 2000
const IN_TROUBLE = 200

/** The masters of a cluster, and which slots each has. */
export interface Topology {
  /** Puts a slot into use. */
  use: (slot: number) => void
  /** Returns the master of a slot; undefined while none is known. */
  ownerOf: (slot: number) => Address | undefined
  /** Returns a signal that aborts when a slot in use gets another master. */
  changes: () => AbortSignal
  /** Records the master that a server has named for a slot, and looks at the cluster soon. */
  moved: (slot: number, address: Address) => void
  /** Looks at the cluster now. Concurrent callers wait for the same look. */
  refresh: () => Promise<void>
  start: () => Promise<void>
  stop: () => Promise<void>
}

/** The dependencies of the topology. */
export interface TopologyOptions {
  /** The addresses in the configuration. */
  seeds: readonly Address[]
  /** Asks the servers about the cluster; empty when none answers. */
  ask: (servers: Address[]) => Promise<SlotMap[]>
  /** Returns whether a master is available. */
  isUp: (master: Address) => boolean
  /** Called when the masters of the slots in use have changed. */
  onChange: (masters: ReadonlySet<Address>) => void
}

/**
 * Creates the topology. It asks the available masters every two seconds, and more often while one of them is unavailable,
 * because a failover then gives its slots to another server. When none of them answers, it asks every server that it
 * knows.
 */
export function createTopology({ seeds, ask, isUp, onChange }: TopologyOptions): Topology {
  const used = new Set<number>()
  let owners: SlotMap['owners'] = []
  let servers: Address[] = [...seeds]
  let changed = new AbortController()
  let stopped = false
  let wake = new AbortController()
  let loop: Promise<void> | undefined

  const masters = () => new Set([...used].flatMap(slot => owners[slot] ?? []))

  const assign = (found: SlotMap['owners']) => {
    const before = owners
    // A slot without a master keeps its last one, which may come back.
    owners = Array.from({ length: SLOTS }, (_, slot) => found[slot] ?? before[slot])
    if ([...used].every(slot => owners[slot] === before[slot])) return
    onChange(masters())
    const last = changed
    changed = new AbortController()
    last.abort()
  }

  const refresh = singleFlight(async () => {
    let maps = await ask([...masters()].filter(isUp))
    if (maps.length === 0) maps = await ask([...new Set([...servers, ...seeds])])
    if (maps.length === 0) return
    // A server that was cut off has an old epoch. Its slots may have another master since.
    const newest = maps.reduce((a, b) => (b.epoch > a.epoch ? b : a))
    servers = newest.servers
    assign(newest.owners)
  })

  const inTrouble = () => [...used].some(slot => !isUp(owners[slot] ?? ''))

  const watch = async () => {
    let lookedAt = performance.now()
    while (!stopped) {
      await delay(IN_TROUBLE, undefined, { signal: wake.signal }).catch(() => {})
      const due = wake.signal.aborted || inTrouble() || performance.now() - lookedAt >= INTERVAL
      if (stopped || !due) continue
      wake = new AbortController()
      lookedAt = performance.now()
      await refresh()
    }
  }

  return {
    use: slot => {
      if (used.has(slot)) return
      used.add(slot)
      onChange(masters())
    },
    ownerOf: slot => owners[slot],
    changes: () => changed.signal,
    moved: (slot, address) => {
      // Without a host, only a look at the cluster shows where the server is.
      if (!/^\??:/.test(address)) assign(owners.with(slot, address))
      wake.abort()
    },
    refresh,
    start: async () => {
      await refresh()
      loop = watch()
    },
    stop: async () => {
      stopped = true
      wake.abort()
      await loop
    }
  }
}
