import { isUnavailable } from '../../stores/errors.ts'
import { type BatchTally, runBatch } from '../batch/run-batch.ts'
import type { ConsumerRuntime, Slot } from '../batch/runtime.ts'
import type { Delivery } from '../group/delivery.ts'
import { createStallWarning } from './stall-warning.ts'

/** The batches of a consumer that run now, at most `concurrency`, and the renewal of their leases. */
export interface Slots {
  /** Resolves when another batch may begin, or when the slots are closed. */
  oneFree: () => Promise<void>
  /** Begins a batch. */
  run: (deliveries: Delivery[]) => void
  /** Runs a batch to its end, while no other batch runs. */
  runAlone: (deliveries: Delivery[]) => Promise<void>
  /** Begins to renew the leases of messages in flight. */
  keepLeases: () => void
  /** True when calls that have run for more than twice the timeout hold all slots. */
  readonly stuck: boolean
  /** Resolves a waiting `oneFree`. No batch may begin after that. */
  interrupt: () => void
  /** Waits for all batches. Does not wait for calls that have run out of time. */
  close: () => Promise<void>
}

/** The callbacks of the slots. */
export interface SlotEvents {
  /** Called after each batch. */
  onBatch: (tally: BatchTally, seconds: number) => void
  /** Called once when the slots are stuck. */
  onStuck: () => void
}

/** Creates the slots of a consumer. `renewEvery` is the pause between two renewals of leases (ms). */
export function createSlots(runtime: ConsumerRuntime, events: SlotEvents, renewEvery: number): Slots {
  const { definition, inFlight, kept, log } = runtime
  const batches = new Set<Promise<void>>()
  const held = new Set<HeldSlot>()
  let taken = 0
  let closed = false
  let stuck = false
  let wake = () => {}
  let renewal: NodeJS.Timeout | undefined

  const free = (slot: HeldSlot) => {
    held.delete(slot)
    taken--
    wake()
  }
  const checkStuck = () => {
    if (stuck || closed || held.size < definition.concurrency) return
    const now = performance.now()
    if (![...held].every(slot => slot.overdueAt !== undefined && slot.overdueAt <= now)) return
    stuck = true
    events.onStuck()
  }
  const run = (deliveries: Delivery[]) => {
    for (const delivery of deliveries) inFlight.add(delivery)
    const slot = createSlot(definition.timeout, checkStuck)
    held.add(slot)
    taken++
    const started = performance.now()
    const batch = runBatch({ ...runtime, slot }, deliveries)
      .then(tally => events.onBatch(tally, (performance.now() - started) / 1000))
      .catch(error => {
        log.error({ err: error }, 'batch ended with an error of the runtime: its messages come again')
        for (const delivery of deliveries) if (!kept.has(delivery)) inFlight.delete(delivery)
      })
      .finally(() => {
        batches.delete(batch)
        slot.whenFree(() => free(slot))
      })
    batches.add(batch)
  }

  return {
    oneFree: async () => {
      while (taken >= definition.concurrency && !closed) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    },
    run,
    runAlone: async deliveries => {
      for (const delivery of deliveries) inFlight.add(delivery)
      await Promise.all(batches)
      run(deliveries)
      await Promise.all(batches)
    },
    keepLeases: () => {
      renewal = setInterval(createRenewal(runtime, renewEvery), renewEvery)
    },
    get stuck() {
      return stuck
    },
    interrupt: () => {
      closed = true
      wake()
    },
    close: async () => {
      await Promise.all(batches)
      clearInterval(renewal)
    }
  }
}

/** A slot with the calls that hold it. */
interface HeldSlot extends Slot {
  /**
   * The time when the first call that holds the slot has run for twice its timeout; undefined when no call holds it.
   */
  readonly overdueAt: number | undefined
  /** Calls `callback` once no call holds the slot; at once when no call holds it now. */
  whenFree: (callback: () => void) => void
}

/** Creates a slot. It calls `onOverdue` when a call that holds the slot has run for twice the timeout (ms). */
function createSlot(timeout: number, onOverdue: () => void): HeldSlot {
  let calls = 0
  let overdueAt: number | undefined
  let whenFree = () => {}
  return {
    get overdueAt() {
      return overdueAt
    },
    isHeld: () => calls > 0,
    hold: call => {
      calls++
      overdueAt ??= performance.now() + timeout
      // A timer may fire a moment early.
      const timer = setTimeout(onOverdue, timeout + 1).unref()
      const release = () => {
        clearTimeout(timer)
        if (--calls > 0) return
        overdueAt = undefined
        whenFree()
      }
      call.then(release, release)
    },
    whenFree: callback => {
      whenFree = callback
      if (calls === 0) callback()
    }
  }
}

/** Creates the periodic renewal of leases. It only logs a failure: an expired lease costs one more delivery. */
function createRenewal(
  { member, inFlight, lease, log }: ConsumerRuntime,
  renewEvery: number
): () => Promise<void> {
  const warn = createStallWarning(log, renewEvery, lease)
  let refused = false
  return async () => {
    warn(inFlight.size > 0)
    if (inFlight.size === 0) return
    try {
      await member.renew([...inFlight])
      if (refused) log.info('leases are renewed again')
      refused = false
    } catch (error) {
      if (!refused && !isUnavailable(error, 'redis'))
        log.warn({ err: error }, 'Redis refuses to renew leases: messages may be delivered again')
      refused ||= !isUnavailable(error, 'redis')
    }
  }
}
