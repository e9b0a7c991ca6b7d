import { setTimeout as delay } from 'node:timers/promises'
import { type Delivery, type Entry, fromEntry, SUSPECT_DELIVERIES } from './delivery.ts'
import type { ResolvedFunction } from './function.ts'
import type { GroupMember } from './group.ts'
import type { StreamReader } from './reader.ts'

/** How often retries that are due are asked for, at most (ms). */
const RETRY_INTERVAL = 50

/** Cursor of a scan of the pending list that is not under way. */
const START = '0-0'

export interface Sources {
  /** Messages for one batch, or none after a while. */
  next: () => Promise<Delivery[]>
}

export interface SourcesOptions {
  member: GroupMember
  reader: StreamReader
  batch: ResolvedFunction['batch']
  lease: number
  /** What this process has in hand itself: its lease may lapse when the process is stalled, and it is passed over. */
  inHand: ReadonlySet<Delivery>
}

/** Where a consumer's messages come from: retries that are due, what dead consumers left, and new ones, in this order. */
export function createSources({ member, reader, batch, lease, inHand }: SourcesOptions): Sources {
  let cursor = START
  let claimsDue = 0
  let retriesDue = 0

  const retries = async () => {
    if (performance.now() < retriesDue) return []
    const taken = await member.takeRetries(batch.size, inHand)
    if (taken.length === 0) retriesDue = performance.now() + RETRY_INTERVAL
    return taken
  }

  /** Looks through the pending list four times in a lease, a batch at a time. */
  const claims = async () => {
    if (performance.now() < claimsDue) return []
    const claimed = await member.claim(cursor, batch.size)
    cursor = claimed.cursor
    // Other suspects than the one that was taken are still where the scan began.
    const suspects = claimed.deliveries.some(({ deliveries }) => deliveries >= SUSPECT_DELIVERIES)
    if (suspects) cursor = START
    else if (cursor === START) claimsDue = performance.now() + lease / 4
    const held = new Set(Array.from(inHand, ({ id }) => id))
    return claimed.deliveries.filter(({ id }) => !held.has(id))
  }

  /** New messages: what is there, and what comes within the window if that does not fill the batch. */
  const fresh = async () => {
    const entries: Entry[] = await reader.wait(batch.size)
    if (entries.length > 0 && entries.length < batch.size && batch.window > 0) {
      await delay(batch.window)
      // What has been read is in hand: a failure here must not lose sight of it.
      entries.push(...(await reader.take(batch.size - entries.length).catch(() => [])))
    }
    return entries.map(entry => fromEntry(entry, 1))
  }

  return {
    next: async () => {
      for (const source of [retries, claims]) {
        const deliveries = await source()
        if (deliveries.length > 0) return deliveries
      }
      return fresh()
    }
  }
}
