import { setTimeout as delay } from 'node:timers/promises'
import type { ResolvedFunction } from '../function.ts'
import { type Delivery, type Entry, fromEntry, isSuspect } from '../group/delivery.ts'
import type { GroupMember, Taken, Which } from '../group/member.ts'
import { createReadSize, type ReadSize } from './read-size.ts'
import type { StreamReader } from './reader.ts'
import type { Suspects } from './suspects.ts'

/** How often retries that are due are asked for, at most (ms). */
const RETRY_INTERVAL = 50

const NOTHING: Batch = { deliveries: [] }

/** How often pending messages are looked through, at least (ms): those that other workers leave are free at once. */
const LONGEST_INTERVAL = 1000

/** Cursor of a scan of the pending list that is not under way. */
const START = '0-0'

/** What one batch is made of. */
export interface Batch {
  /** None after a while. */
  deliveries: Delivery[]
  /** Of a suspect alone: to be called when its batch has ended, so that another one may run in this process. */
  ended?: (() => void) | undefined
}

export interface Sources {
  next: () => Promise<Batch>
  /** Whether the source that failed last has answered since. */
  readonly answer: boolean
}

export interface SourcesOptions {
  member: GroupMember
  reader: StreamReader
  batch: ResolvedFunction['batch']
  lease: () => number
  /** Whether it is known what others hold, and for how long. */
  canClaim: () => boolean
  /** What this process has in hand itself: its lease may lapse when the process is stalled, and it is passed over. */
  inHand: ReadonlySet<Delivery>
  /** Shared with the other consumers of this process. */
  suspects: Suspects
}

/** Where a consumer's messages come from: retries that are due, what dead consumers left, and new ones, in this order. */
export function createSources({
  member,
  reader,
  batch,
  lease,
  canClaim,
  inHand,
  suspects
}: SourcesOptions): Sources {
  let cursor = START
  let claimsDue = 0
  let retriesDue = 0
  const readSize = createReadSize(batch.size)

  /** Asks for a suspect only where there is nothing else, and none runs in this process. */
  const take = async <T extends Taken>(ask: (which: Which) => Promise<T>): Promise<T & Batch> => {
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
    const taken = await take(which => member.takeRetries(batch.size, inHand, which))
    if (taken.deliveries.length === 0) retriesDue = performance.now() + RETRY_INTERVAL
    return taken
  }

  /** Looks through the pending list four times in a lease or each second, a batch at a time. */
  const claims = async (): Promise<Batch> => {
    if (performance.now() < claimsDue || !canClaim()) return NOTHING
    const { deliveries, ended, ...claimed } = await take(which => member.claim(cursor, batch.size, which))
    // Suspects that were put back come next; while another one runs in this process, they are passed over.
    if (deliveries.length === 0 || claimed.suspects === 0) {
      cursor = claimed.cursor
      if (cursor === START) claimsDue = performance.now() + Math.min(lease() / 4, LONGEST_INTERVAL)
    }
    const held = new Set(Array.from(inHand, ({ id }) => id))
    const others = deliveries.filter(({ id }) => !held.has(id))
    if (others.length === 0) ended?.()
    return { deliveries: others, ended }
  }

  const fresh = async (): Promise<Batch> => {
    const entries = await readNew(reader, readSize, batch.window)
    return { deliveries: entries.map(entry => fromEntry(entry, 1)) }
  }

  return inTurn([retries, claims, fresh])
}

/**
 * New messages, in as many reads as it takes to fill a batch: the first ones are small while the sizes are unknown. A read
 * that comes back short waits once for the window (ms), and then takes what has come.
 */
async function readNew(reader: StreamReader, readSize: ReadSize, window: number): Promise<Entry[]> {
  const entries: Entry[] = []
  const append = (read: Entry[]) => {
    readSize.saw(read)
    // A group that was recreated between two reads delivers the same messages again.
    const known = new Set(entries.map(([id]) => id))
    entries.push(...read.filter(([id]) => !known.has(id)))
  }
  // What has been read is in flight: an error of a further read must not lose it.
  const take = (count: number) => reader.take(count).catch(() => [])

  let count = readSize.next(0)
  let read = await reader.wait(count)
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

/** Asks one source after the other until one has something. */
function inTurn(sources: (() => Promise<Batch>)[]): Sources {
  let failed: (() => Promise<Batch>) | undefined
  return {
    get answer() {
      return !failed
    },
    next: async () => {
      for (const source of sources) {
        const found = await source().catch(error => {
          failed = source
          throw error
        })
        // Those before it may answer, and have something, while it still fails.
        if (failed === source) failed = undefined
        if (found.deliveries.length > 0) return found
      }
      return NOTHING
    }
  }
}
