import { setTimeout as delay } from 'node:timers/promises'
import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import { createBlockingConnection } from '../blocking-connection.ts'
import type { Entry } from '../group/delivery.ts'
import { createReadSize } from '../group/read-size.ts'
import { compareIds, START } from './positions.ts'

const logBounds = loadScript(new URL('log-bounds.lua', import.meta.url))

/** The longest time that a read waits for an entry (ms), and the most entries of one read. */
const BLOCK = 5000
const MOST_READ = 500

/** The pause after a failed read (ms). */
const RETRY_AFTER = 500

/** The part of a log that a reader starts with. */
export interface LogPast {
  /** The newest entries, the oldest first. */
  entries: Entry[]
  /** The position after which `entries` has every entry. */
  since: string
}

/** What a reader reports, and what it starts with. */
export interface LogReaderOptions {
  redis: RedisMaster
  /** The key of the log in one partition. */
  stream: string
  /** The most past entries and bytes to start with. */
  past: { entries: number; bytes: number }
  /** Called once, before the first new entry. */
  onStart: (past: LogPast) => void
  onEntries: (entries: Entry[]) => void
  /** Called when entries may be missing: the log was trimmed, or has lost its newest entries. */
  onGap: () => void
  /** Called for each failed read. While reads fail, entries are late. */
  onFailure: (error: unknown) => void
  /** Returns the position after which to read again when the log has lost its newest entries. */
  readAgainFrom: () => string
}

/** Reads all entries of a log in one partition, without a consumer group. */
export interface LogReader {
  start: () => void
  /** Ends the reader. Nothing is reported any more. */
  stop: () => void
}

/**
 * Creates a reader of a log. It starts with the newest entries, and then reads each new entry. A failed read is repeated
 * until the reader stops.
 */
export function createLogReader(options: LogReaderOptions): LogReader {
  const { redis, stream } = options
  const blocking = createBlockingConnection(redis, { block: BLOCK })
  const stopping = new AbortController()
  const size = createReadSize(MOST_READ)
  let position: string | undefined

  const begin = async () => {
    const past = await readPast(options)
    if (stopping.signal.aborted) return
    position = past.entries.at(-1)?.[0] ?? START
    options.onStart(past)
  }

  const readNext = async (from: string) => {
    const reply = await blocking.use(
      connection =>
        connection.xread('COUNT', size.next(0), 'BLOCK', BLOCK, 'STREAMS', stream, from) as Promise<
          [key: string, entries: Entry[]][] | null
        >
    )
    const entries = reply?.[0]?.[1] ?? []
    size.record(entries)
    const [first, last] = await readBounds(redis, stream)
    if (stopping.signal.aborted) return
    position = entries.at(-1)?.[0] ?? from
    const isBehind = compareIds(last, position) < 0
    // A gap before the entries is reported before them.
    if (!isBehind && from !== START && first !== '' && compareIds(first, from) > 0) options.onGap()
    if (entries.length > 0) options.onEntries(entries)
    if (isBehind) {
      // A failover or a flush: entries with lower ids may have been appended since then.
      position = last === START ? START : options.readAgainFrom()
      options.onGap()
    }
  }

  const run = async () => {
    while (!stopping.signal.aborted) {
      try {
        if (position === undefined) await begin()
        else await readNext(position)
      } catch (error) {
        if (stopping.signal.aborted) return
        options.onFailure(error)
        await delay(RETRY_AFTER, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  return {
    start: () => void run(),
    stop: () => {
      stopping.abort()
      blocking.close()
    }
  }
}

type Bounds = [first: string, last: string, trimmed: number]

/** Reads the bounds of a log: see log-bounds.lua. */
async function readBounds(redis: RedisMaster, stream: string): Promise<Bounds> {
  const bounds = await redis.run(client => logBounds(client, [stream], []))
  return (bounds as Bounds | null) ?? ['', START, 0]
}

/**
 * Reads the newest entries of a log, in pages, from the newest to the oldest. Redis limits a page by the number of entries,
 * but the cost depends on their bytes.
 */
async function readPast({ redis, stream, past }: LogReaderOptions): Promise<LogPast> {
  const entries: Entry[] = []
  const size = createReadSize(MOST_READ)
  let bytes = 0
  let whole = false
  while (!whole && entries.length < past.entries && bytes < past.bytes) {
    const end = entries.length === 0 ? '+' : `(${entries.at(-1)?.[0]}`
    const count = Math.min(size.next(0), past.entries - entries.length)
    const page = (await redis.run(client => client.xrevrange(stream, end, '-', 'COUNT', count))) as Entry[]
    for (const entry of page) bytes += entry[1].reduce((sum, field) => sum + field.length, 0)
    size.record(page)
    entries.push(...page)
    whole = page.length < count
  }
  const [, last, trimmed] = await readBounds(redis, stream)
  const since = whole && trimmed === 0 ? START : (entries.at(-1)?.[0] ?? last)
  return { entries: entries.toReversed(), since }
}
