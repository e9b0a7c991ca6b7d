import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { GroupMissing, SlotElsewhere, StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import type { Outages } from '../outage/outages.ts'

/** Pause after a read without a reply (ms). */
const ERROR_PAUSE = 500

/** Pause before the server that has the partition now is tried (ms). */
const SLOT_PAUSE = 50

/** Logged once when Redis is available and messages cannot be taken from it. */
const CANNOT_TAKE = 'the function waits for Redis, which does not hand out its messages'

/**
 * Decides when the loop continues after an error. It continues at once when the group is missing, and as soon as Redis
 * is available again after an outage. Otherwise it waits with growing pauses, since only this connection or this
 * command may fail. `end` reports that the loop has succeeded again.
 */
export function createRecovery(
  { log, stores }: { log: FastifyBaseLogger; stores: Outages['stores'] },
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
      if (error instanceof SlotElsewhere) {
        await delay(SLOT_PAUSE, undefined, { signal: stopping }).catch(() => {})
        return
      }
      // Taking messages uses only Redis, so any other error is an unexpected answer of Redis.
      const cause = error instanceof StoreUnavailable ? error : new StoreRefused('redis', error)
      if (!(cause instanceof StoreRefused)) {
        const up = await stores.redis.check()
        // A single lost answer is not an outage.
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
