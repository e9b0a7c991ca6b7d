import { isUnavailable } from '../../stores/errors.ts'
import { runBatch } from '../batch/batch.ts'
import type { BatchCounts, BatchRunner } from '../batch/batch-runner.ts'
import type { Delivery } from '../group/delivery.ts'
import { createStallWarning } from './stall-warning.ts'

/** The batches that a consumer has in flight, at most `concurrency` of them, and the leases of their messages. */
export interface Slots {
  /** Resolves when another batch may begin. */
  oneFree: () => Promise<void>
  /** Begins a batch. */
  run: (deliveries: Delivery[]) => void
  /** Runs a batch to its end, with no other one beside it. */
  runAlone: (deliveries: Delivery[]) => Promise<void>
  /** Begins to renew the leases of what is in hand. */
  keepLeases: () => void
  /** Waits for all batches. */
  close: () => Promise<void>
}

/** `renewEvery` is the pause between two renewals (ms). */
export function createSlots(
  runner: BatchRunner,
  onBatch: (counts: BatchCounts, seconds: number) => void,
  renewEvery: number
): Slots {
  const { definition, member, inHand, log } = runner
  const batches = new Set<Promise<void>>()
  let renewal: NodeJS.Timeout | undefined
  let refused = false

  /** A renewal that fails is followed by the next; a lease that does run out costs a second delivery, no more. */
  const renew = async () => {
    try {
      await member.renew([...inHand])
      if (refused) log.info('leases are renewed again')
      refused = false
    } catch (error) {
      if (!refused && !isUnavailable(error, 'redis'))
        log.warn({ err: error }, 'Redis refuses to renew leases: messages may be delivered again')
      refused ||= !isUnavailable(error, 'redis')
    }
  }

  const hold = (deliveries: Delivery[]) => {
    for (const delivery of deliveries) inHand.add(delivery)
  }
  const run = (deliveries: Delivery[]) => {
    hold(deliveries)
    const started = performance.now()
    const batch = runBatch(runner, deliveries)
      .then(counts => onBatch(counts, (performance.now() - started) / 1000))
      .catch(error =>
        log.error({ err: error }, 'a batch ended with an error of the runtime; its messages come again')
      )
      .finally(() => {
        // None is left but after an error of the runtime.
        for (const delivery of deliveries) inHand.delete(delivery)
        batches.delete(batch)
      })
    batches.add(batch)
  }

  return {
    oneFree: async () => {
      while (batches.size >= definition.concurrency) await Promise.race(batches)
    },
    run,
    runAlone: async deliveries => {
      hold(deliveries)
      await Promise.all(batches)
      run(deliveries)
      await Promise.all(batches)
    },
    keepLeases: () => {
      const warn = createStallWarning(log, renewEvery, runner.lease)
      renewal = setInterval(() => {
        warn(inHand.size > 0)
        if (inHand.size > 0) void renew()
      }, renewEvery)
    },
    close: async () => {
      await Promise.all(batches)
      clearInterval(renewal)
    }
  }
}
