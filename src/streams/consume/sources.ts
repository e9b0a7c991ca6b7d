import { setTimeout as delay } from 'node:timers/promises'
import type { ResolvedFunction } from '../function.ts'
import { type Delivery, type Entry, fromEntry, isSuspect } from '../group/delivery.ts'
import type { GroupMember, TakeMode, TakenMessages } from '../group/member.ts'
import { createReadSize, type ReadSize } from '../group/read-size.ts'
import type { StreamReader } from './reader.ts'
import type { Suspects } from './suspects.ts'

/** Shortest time between two searches for due retries (ms). */
const RETRY_INTERVAL = 50

const NOTHING: Batch = { deliveries: [] }

/** Longest time between two scans of the pending list (ms). The next scan finds messages that other workers release. */
const LONGEST_INTERVAL = 1000

/** Cursor where a scan of the pending list begins. */
const START = '0-0'

/** The messages of one batch. */
export interface Batch {
  deliveries: Delivery[]
  /**
   * Set when the batch is a suspect. Call it when the batch has ended: then another suspect may run in this process.
   */
  ended?: (() => void) | undefined
}

/** The sources of a consumer's messages. */
export interface Sources {
  /** Takes the next batch. The batch is empty when no message arrives for a while. */
  next: () => Promise<Batch>
  /** False after a source has failed, until the same source succeeds. */
  readonly healthy: boolean
}

/** The dependencies of the sources. */
export interface SourcesOptions {
  member: GroupMember
  reader: StreamReader
  batch: ResolvedFunction['batch']
  lease: () => number
  /** Returns whether this process has current records of the other processes and their leases. */
  canClaim: () => boolean
  /** Messages in flight in this process. They are skipped: their lease may have expired while the process stalled. */
  inFlight: ReadonlySet<Delivery>
  /** The same object for all consumers of this process. */
  suspects: Suspects
}

/**
 * Creates the sources: messages whose reply was lost, due retries, messages with an expired lease, and new messages, in
 * this order.
 */
export function createSources({
  member,
  reader,
  batch,
  lease,
  canClaim,
  inFlight,
  suspects
}: SourcesOptions): Sources {
  let cursor = START
  let claimsDue = 0
  let retriesDue = 0
  const readSize = createReadSize(batch.size)

  /** Takes a suspect only when there is no other message, and no other suspect runs in this process. */
  const take = async <T extends TakenMessages>(ask: (mode: TakeMode) => Promise<T>): Promise<T & Batch> => {
    const safe = await ask('safe')
    const ended = safe.deliveries.length === 0 && safe.suspects > 0 ? suspects.admit() : undefined
    if (!ended) return safe
    try {
      const taken = await ask('suspect')
      if (taken.deliveries.some(isSuspect)) return { ...taken, ended }
      ended()
      return taken
    } catch (error) {
      ended()
      throw error
    }
  }

  const retries = async (): Promise<Batch> => {
    if (performance.now() < retriesDue) return NOTHING
    const taken = await take(mode => member.takeRetries(batch.size, inFlight, mode))
    if (taken.deliveries.length === 0) retriesDue = performance.now() + RETRY_INTERVAL
    return taken
  }

  /** Claims one batch. Scans the whole pending list four times in a lease, or each second if that is more often. */
  const claims = async (): Promise<Batch> => {
    if (performance.now() < claimsDue || !canClaim()) return NOTHING
    const { deliveries, ended, ...claimed } = await take(mode => member.claim(cursor, batch.size, mode))
    // With the same cursor, the next call finds the skipped suspects. While another suspect runs, the scan moves on.
    if (deliveries.length === 0 || claimed.suspects === 0) {
      cursor = claimed.cursor
      if (cursor === START) claimsDue = performance.now() + Math.min(lease() / 4, LONGEST_INTERVAL)
    }
    const held = new Set(Array.from(inFlight, ({ id }) => id))
    const others = deliveries.filter(({ id }) => !held.has(id))
    if (others.length === 0) ended?.()
    return { deliveries: others, ended }
  }

  /** Where the search for lost messages continues; undefined when no reply was lost. */
  let lostFrom: string | undefined
  /** After a failed read, Redis may have delivered messages that did not arrive. They need not wait for their lease. */
  const lost = async (): Promise<Batch> => {
    const from = lostFrom
    if (from === undefined) return NOTHING
    const taken = await take(mode => member.takeLost(from, batch.size, inFlight, mode))
    const { deliveries, ended, ...found } = taken
    // With the same cursor, the next call finds the suspects that were skipped.
    if (found.suspects === 0) lostFrom = found.cursor === START ? undefined : found.cursor
    return { deliveries, ended }
  }

  const fresh = async (): Promise<Batch> => {
    const entries = await readNew(reader, readSize, batch.window, () => {
      lostFrom = START
    })
    return { deliveries: entries.map(entry => fromEntry(entry, 1)) }
  }

  return firstWithMessages([lost, retries, claims, fresh])
}

/**
 * Reads new messages for one batch, in several reads: the first reads are small while the sizes are unknown. When a
 * read returns fewer messages than it asked for, waits once for the window (ms) and takes what has arrived. Calls
 * `onFailure` when a read fails.
 */
async function readNew(
  reader: StreamReader,
  readSize: ReadSize,
  window: number,
  onFailure: () => void
): Promise<Entry[]> {
  const entries: Entry[] = []
  const append = (read: Entry[]) => {
    readSize.record(read)
    // A group that was recreated between two reads delivers the same messages again.
    const known = new Set(entries.map(([id]) => id))
    entries.push(...read.filter(([id]) => !known.has(id)))
  }
  // An error of a later read must not lose messages of an earlier read: they are in flight.
  const take = (count: number) =>
    reader.take(count).catch((): Entry[] => {
      onFailure()
      return []
    })

  let count = readSize.next(0)
  let read = await reader.wait(count).catch(error => {
    onFailure()
    throw error
  })
  append(read)
  while (read.length === count) {
    count = readSize.next(entries.length)
    if (count <= 0) return entries
    read = await take(count)
    append(read)
  }
  if (entries.length > 0 && window > 0) {
    await delay(window)
    append(await take(count - read.length))
  }
  return entries
}

/** Calls one source after another until a source returns messages. */
function firstWithMessages(sources: (() => Promise<Batch>)[]): Sources {
  let failed: (() => Promise<Batch>) | undefined
  return {
    get healthy() {
      return !failed
    },
    next: async () => {
      for (const source of sources) {
        const found = await source().catch(error => {
          failed = source
          throw error
        })
        // The success of another source does not show that the failed source works again.
        if (failed === source) failed = undefined
        if (found.deliveries.length > 0) return found
      }
      return NOTHING
    }
  }
}
