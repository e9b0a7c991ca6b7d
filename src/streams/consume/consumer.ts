import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Availability } from '../../stores/availability.ts'
import { GroupMissing, type StoreName, StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { BatchCounts } from '../batch/batch-runner.ts'
import { createForeignMessages } from '../batch/foreign.ts'
import type { ResolvedFunction } from '../function.ts'
import { createDecoder, type Delivery } from '../group/delivery.ts'
import { createGroupMember, type GroupMember } from '../group/member.ts'
import type { Keys } from '../keys.ts'
import type { Processes } from '../registry/processes.ts'
import { createOutages, type Outages } from './outages.ts'
import { createStreamReader } from './reader.ts'
import { createSlots } from './slots.ts'
import { createSources } from './sources.ts'
import type { Suspects } from './suspects.ts'

export interface ConsumerOptions {
  definition: ResolvedFunction
  partition: number
  keys: Keys
  /** Name of this process among the consumers of the group. */
  consumer: string
  redis: RedisStore
  stores: Record<StoreName, Availability>
  /** How long a message of this process may lie untouched before another worker takes it over (ms). */
  lease: number
  /** Makes the groups of a function on a log where they are missing. */
  begin?: (() => Promise<void>) | undefined
  /** The other processes that may run this function. */
  processes: Pick<Processes, 'lease' | 'current' | 'joined'>
  /** Shared by all consumers of this process. */
  suspects: Suspects
  /** How long what is in hand may take once the worker stops, before it is given back (ms). */
  patience: number
  log: FastifyBaseLogger
  /** Told after each batch. */
  onBatch: (counts: BatchCounts, seconds: number) => void
  /** Called for each message of a version that the function does not know. */
  onForeign: (version: string) => void
}

export interface Consumer {
  definition: ResolvedFunction
  member: GroupMember
  /** The store that the function waits for, if it does. */
  waitingFor: () => StoreName | undefined
  /** Why it waits, as health says it. */
  pausedBy: () => string | undefined
  start: () => void
  /** Takes nothing new, finishes what is in hand or gives it back, leaves the group. */
  stop: () => Promise<void>
}

/** What a handler's signal is aborted with when the worker stops and can wait no longer. */
class WorkerLeaves extends Error {
  override name = 'WorkerLeaves'
}

/** Pause before the loop goes on when the answer to a read was lost (ms). */
const ERROR_PAUSE = 500

/** What is logged, once, when Redis is up and messages cannot be taken from it. */
const CANNOT_TAKE = 'the function waits for Redis, which does not hand out its messages'

/**
 * Runs one function on one partition of its stream:
 *
 *     join group -> ( retries that are due | what a dead consumer left | new messages ) -> batch in a free slot -> …
 *
 * It reads only into free slots, so it holds at most batch size × concurrency messages, and renews the lease of those.
 */
export function createConsumer(options: ConsumerOptions): Consumer {
  const { definition, suspects, processes, log } = options
  const lease = () => processes.lease(definition.name)
  const member = createGroupMember({ ...options, lease })
  const reader = createStreamReader(options.redis, member)
  const stopping = new AbortController()
  const leaving = new AbortController()
  const outages = createOutages(options.stores, stopping.signal, log)
  const decode = createDecoder(definition, options.partition)
  const inHand = new Set<Delivery>()
  const foreign = createForeignMessages(log, options.onForeign)
  const runner = { definition, member, decode, outages, foreign, inHand, leaving: leaving.signal, log, lease }
  const slots = createSlots(runner, options.onBatch, options.lease / 3)
  const sources = createSources({
    member,
    reader,
    batch: definition.batch,
    lease,
    canClaim: processes.current,
    inHand,
    suspects
  })
  const recovery = createRecovery(options, outages, stopping.signal)
  const consume = async () => {
    // A Redis that is full refuses to make the group.
    await outages.ride(() => member.join(), stopping.signal)
    while (!stopping.signal.aborted) {
      await slots.oneFree()
      if (stopping.signal.aborted) return
      const { deliveries, ended } = await sources.next()
      if (sources.answer) recovery.end()
      // What may kill this process must not take other batches with it.
      if (ended) await slots.runAlone(deliveries).finally(ended)
      else if (deliveries.length > 0) slots.run(deliveries)
    }
  }

  let waitsToRead = false
  const run = async () => {
    while (!stopping.signal.aborted) {
      waitsToRead = true
      await options.stores.redis.untilUp(stopping.signal)
      waitsToRead = false
      await processes.joined(stopping.signal)
      await consume().catch(recovery.after)
    }
  }

  let loop: Promise<void> | undefined
  return {
    definition,
    member,
    waitingFor: () => outages.waitingFor ?? (waitsToRead ? 'redis' : undefined),
    pausedBy: () => outages.reason ?? (waitsToRead ? 'redis is not available' : undefined),
    start: () => {
      slots.keepLeases()
      loop = run()
    },
    stop: async () => {
      stopping.abort()
      const timer = setTimeout(() => leaving.abort(new WorkerLeaves('the worker stops')), options.patience)
      await reader.interrupt().catch(() => {})
      await loop
      await slots.close()
      clearTimeout(timer)
      await member.leave().catch(() => {})
      reader.close()
    }
  }
}

/**
 * Decides how the loop goes on after an error: at once when the group was lost; when Redis is unavailable, once it is back;
 * else after growing pauses, since this connection or this command may fail alone. `end` says that it has got through.
 */
function createRecovery(
  { log, stores }: ConsumerOptions,
  outages: Outages,
  stopping: AbortSignal
): { after: (error: unknown) => Promise<void>; end: () => void } {
  const wait = outages.wait(stopping, CANNOT_TAKE)
  let lost = 0

  return {
    after: async error => {
      if (stopping.aborted) return
      if (error instanceof GroupMissing) {
        log.warn({ err: error }, 'the consumer group is gone')
        return
      }
      // To take messages is to talk to Redis: what fails otherwise is an answer that nobody foresaw.
      const cause = error instanceof StoreUnavailable ? error : new StoreRefused('redis', error)
      if (!(cause instanceof StoreRefused)) {
        const up = await stores.redis.check()
        // A single lost answer is no outage.
        if (!up || ++lost === 1) {
          await delay(ERROR_PAUSE, undefined, { signal: stopping }).catch(() => {})
          return
        }
      }
      await wait.pause(cause)
    },
    end: () => {
      lost = 0
      wait.end()
    }
  }
}
