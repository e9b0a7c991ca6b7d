import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Availability } from '../stores/availability.ts'
import { GroupMissing, type StoreName, StoreUnavailable } from '../stores/errors.ts'
import type { RedisStore } from '../stores/redis.ts'
import { runBatch } from './batch.ts'
import { createDecoder, type Entry } from './entries.ts'
import type { StreamFunction } from './function.ts'
import { createGroupMember, type GroupMember } from './group.ts'
import { createStreamReader, type StreamReader } from './reader.ts'

export interface ConsumerOptions {
  definition: StreamFunction
  /** Full key of the stream, in one partition. */
  stream: string
  /** Name of this process among the consumers of the group. */
  consumer: string
  redis: RedisStore
  stores: Record<StoreName, Availability>
  /** How long a message may lie untouched before another worker takes it over (ms). */
  lease: number
  log: FastifyBaseLogger
  /** Told after each batch. */
  onBatch: (outcome: { settled: number; pending: number; seconds: number }) => void
}

export interface Consumer {
  start: () => void
  /** Takes nothing new, finishes what is in hand, leaves the group. */
  stop: () => Promise<void>
}

/** Pause before the loop goes on after an error that is no outage (ms). */
const ERROR_PAUSE = 500

/**
 * Runs one function on one partition of its stream:
 *
 *     join group -> ( claim what a dead consumer left | read new ) -> batch in a free slot -> …
 *
 * It reads only into free slots, so it holds at most batch size × concurrency messages, and renews the lease of those.
 */
export function createConsumer(options: ConsumerOptions): Consumer {
  const { definition, redis, lease, log } = options
  const member = createGroupMember(redis, options.stream, definition.name, options.consumer)
  const reader = createStreamReader(redis, member)
  const decode = createDecoder(definition)
  const stopping = new AbortController()
  const inHand = new Set<string>()
  const batches = new Set<Promise<void>>()
  let renewal: NodeJS.Timeout | undefined
  let loop: Promise<void> | undefined

  const runner = { definition, member, decode, stores: options.stores, log, stopping: stopping.signal }

  const begin = (entries: Entry[]) => {
    const ids = entries.map(([id]) => id)
    for (const id of ids) inHand.add(id)
    const started = performance.now()
    const batch = runBatch(runner, entries)
      .then(outcome => options.onBatch({ ...outcome, seconds: (performance.now() - started) / 1000 }))
      .catch(error =>
        log.error({ err: error }, 'a batch ended with an error of the runtime; its messages stay pending')
      )
      .finally(() => {
        for (const id of ids) inHand.delete(id)
        batches.delete(batch)
      })
    batches.add(batch)
  }

  const nextClaim = createClaims(member, lease, definition.batch.size, inHand)

  const consume = async () => {
    await member.join()
    while (!stopping.signal.aborted) {
      if (batches.size >= definition.concurrency) {
        await Promise.race(batches)
        continue
      }
      const claimed = await nextClaim()
      const entries = claimed.length > 0 ? claimed : await readBatch(reader, definition)
      if (entries.length > 0) begin(entries)
    }
  }

  const run = async () => {
    while (!stopping.signal.aborted) {
      await options.stores.redis.untilUp(stopping.signal)
      await consume().catch(error => recover(error, options, stopping.signal))
    }
  }

  return {
    start: () => {
      renewal = setInterval(() => {
        // A renewal that fails is followed by the next; a lease that does run out costs a second delivery, no more.
        if (inHand.size > 0) member.renew([...inHand]).catch(() => {})
      }, lease / 3)
      loop = run()
    },
    stop: async () => {
      stopping.abort()
      await reader.interrupt().catch(() => {})
      await loop
      await Promise.all(batches)
      clearInterval(renewal)
      await member.leave().catch(() => {})
      reader.close()
    }
  }
}

/** Decides how the loop goes on after an error: at once when the group was lost, else after a pause or a probe. */
async function recover(
  error: unknown,
  { log, stores }: ConsumerOptions,
  stopping: AbortSignal
): Promise<void> {
  if (stopping.aborted) return
  if (error instanceof GroupMissing) {
    log.warn({ err: error }, 'the consumer group is gone and is made anew')
    return
  }
  if (error instanceof StoreUnavailable) await stores.redis.check()
  else log.error({ err: error }, 'the consumer loop failed and goes on')
  await delay(ERROR_PAUSE, undefined, { signal: stopping }).catch(() => {})
}

/** New messages for one batch: what is there, and what comes within the window if that does not fill it. */
async function readBatch(reader: StreamReader, { batch }: StreamFunction): Promise<Entry[]> {
  const entries = await reader.wait(batch.size)
  if (entries.length === 0 || entries.length === batch.size || batch.window === 0) return entries
  await delay(batch.window)
  // Messages that have been read are in hand: a failure here must not lose sight of them.
  const more = await reader.take(batch.size - entries.length).catch(() => [])
  return [...entries, ...more]
}

/**
 * Gives what dead consumers left, a batch at a time, looking through the pending list four times in a lease. What
 * this process has in hand itself is passed over: its lease may lapse when the process is stalled.
 */
function createClaims(
  member: GroupMember,
  lease: number,
  size: number,
  inHand: Set<string>
): () => Promise<Entry[]> {
  const END = '0-0'
  let cursor = END
  let due = 0
  return async () => {
    if (performance.now() < due) return []
    const claimed = await member.claim(lease, cursor, size)
    cursor = claimed.cursor
    if (cursor === END) due = performance.now() + lease / 4
    return claimed.entries.filter(([id]) => !inHand.has(id))
  }
}
