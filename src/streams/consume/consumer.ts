import type { FastifyBaseLogger } from 'fastify'
import type { StoreState } from '../../stores/availability.ts'
import type { StoreName } from '../../stores/errors.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { createDecoder } from '../batch/decode.ts'
import type { BatchTally } from '../batch/run-batch.ts'
import type { ConsumerRuntime } from '../batch/runtime.ts'
import { createReportUnknownVersion } from '../batch/unknown-versions.ts'
import type { ResolvedFunction } from '../function.ts'
import type { Delivery } from '../group/delivery.ts'
import { createGroupMember, type GroupMember } from '../group/member.ts'
import type { Keys } from '../keys.ts'
import { createOutages, type Outages } from '../outage/outages.ts'
import type { Processes } from '../registry/processes.ts'
import { createStreamReader } from './reader.ts'
import { createRecovery } from './recovery.ts'
import { createSlots, type Slots } from './slots.ts'
import { createSources } from './sources.ts'
import type { Suspects } from './suspects.ts'

/** The dependencies of a consumer. */
export interface ConsumerOptions {
  definition: ResolvedFunction
  partition: number
  keys: Keys
  /** Name of this process among the consumers of the group. */
  consumer: string
  redis: RedisStore
  stores: Record<StoreName, StoreState>
  /** The lease (ms). Another worker takes over a message of this process that is idle for longer. */
  lease: number
  /** Creates the missing groups of a function on a log. */
  begin?: (() => Promise<void>) | undefined
  /** The register of the running processes. */
  processes: Pick<Processes, 'lease' | 'current' | 'joined'>
  /** The same object for all consumers of this process. */
  suspects: Suspects
  /** The longest time that a stopping worker waits for messages in flight before it releases them (ms). */
  patience: number
  log: FastifyBaseLogger
  /** Called after each batch. */
  onBatch: (tally: BatchTally, seconds: number) => void
  /** Called for each message of a version that the function does not support. */
  onUnknownVersion: (version: string) => void
  /** Called once when calls that do not return hold all slots. Only a new process can free the slots. */
  onStuck: (error: SlotsHeld) => void
}

/** One function on one partition of its stream. */
export interface Consumer {
  definition: ResolvedFunction
  member: GroupMember
  /** Returns the store that the function waits for; undefined when it does not wait. */
  waitingFor: () => StoreName | undefined
  /** Returns the reason why the function does not run, for health; undefined while it runs. */
  pausedBy: () => string | undefined
  start: () => void
  /** Stops taking messages, finishes or releases the messages in flight, and leaves the group. */
  stop: () => Promise<void>
}

/** Calls of the handler hold all slots of a function, and have run for more than twice the timeout. */
class SlotsHeld extends Error {
  override name = 'SlotsHeld'

  constructor({ name, timeout, concurrency }: ResolvedFunction) {
    super(
      `calls of ${name} hold ${concurrency === 1 ? 'its only slot' : `all its ${concurrency} slots`}: ` +
        `they ignore their signal and have run for more than twice the timeout of ${timeout} ms`
    )
  }
}

/** The reason with which a handler's signal is aborted when the worker stops and can wait no longer. */
class WorkerLeaves extends Error {
  override name = 'WorkerLeaves'
}

/**
 * Runs one function on one partition of its stream:
 *
 *     join group -> ( due retries | messages with an expired lease | new messages ) -> batch in a free slot -> …
 *
 * It takes messages only when a slot is free, so at most batch size × concurrency messages are in flight. It renews their
 * leases.
 */
export function createConsumer(options: ConsumerOptions): Consumer {
  const { definition, suspects, processes } = options
  const [stopping, leaving] = [new AbortController(), new AbortController()]
  const outages = createOutages(options.stores, stopping.signal, options.log)
  const runtime = createRuntime(options, outages, leaving.signal)
  const { member, inFlight, lease } = runtime
  const reader = createStreamReader(options.redis.masterOf(options.partition), member)
  const stuck = new SlotsHeld(definition)
  const events = { onBatch: options.onBatch, onStuck: () => options.onStuck(stuck) }
  const slots = createSlots(runtime, events, options.lease / 3)
  const sources = createSources({
    member,
    reader,
    batch: definition.batch,
    lease,
    canClaim: processes.current,
    inFlight,
    suspects
  })
  const recovery = createRecovery(options, outages, stopping.signal)
  const consume = async () => {
    // Repeats the call, since a full Redis refuses to create the group.
    await outages.repeat(() => member.join(), stopping.signal)
    while (!stopping.signal.aborted) {
      await slots.oneFree()
      if (stopping.signal.aborted) return
      const { deliveries, ended } = await sources.next()
      if (sources.healthy) recovery.end()
      // A suspect may kill this process, so no other batch runs at the same time.
      if (ended) await slots.runAlone(deliveries).finally(ended)
      else if (deliveries.length > 0) await runEach(slots, runtime, deliveries, stopping.signal)
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
    pausedBy: () => {
      if (slots.stuck) return stuck.message
      return outages.reason ?? (waitsToRead ? 'redis is not available' : undefined)
    },
    start: () => {
      slots.keepLeases()
      loop = run()
    },
    stop: async () => {
      stopping.abort()
      const timer = setTimeout(() => leaving.abort(new WorkerLeaves('the worker stops')), options.patience)
      slots.interrupt()
      await reader.interrupt().catch(() => {})
      await loop
      await slots.close()
      clearTimeout(timer)
      await member.leave().catch(() => {})
      reader.close()
    }
  }
}

function createRuntime(options: ConsumerOptions, outages: Outages, leaving: AbortSignal): ConsumerRuntime {
  const { definition, partition, processes, log } = options
  const lease = () => processes.lease(definition.name)
  return {
    definition,
    member: createGroupMember({ ...options, lease }),
    decode: createDecoder(definition, partition),
    outages,
    reportUnknownVersion: createReportUnknownVersion(log, options.onUnknownVersion),
    inFlight: new Set(),
    kept: new Set(),
    leaving,
    log,
    lease
  }
}

/** Runs a batch. Each message that must run alone is a batch of its own, and waits for a free slot. */
async function runEach(
  slots: Slots,
  { inFlight, member, lease }: ConsumerRuntime,
  deliveries: Delivery[],
  stopping: AbortSignal
): Promise<void> {
  const alone = deliveries.filter(({ record }) => record.alone)
  if (alone.length === 0) return slots.run(deliveries)
  for (const delivery of alone) inFlight.add(delivery)
  if (alone.length < deliveries.length) slots.run(deliveries.filter(({ record }) => !record.alone))
  for (const [index, delivery] of alone.entries()) {
    await slots.oneFree()
    if (stopping.aborted) {
      const rest = alone.slice(index)
      for (const left of rest) inFlight.delete(left)
      return member.release(rest, lease()).catch(() => {})
    }
    slots.run([delivery])
  }
}
