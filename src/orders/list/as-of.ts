import { singleFlight } from '../../async/single-flight.ts'
import { readTime } from '../../stores/redis/clock.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { fromRetry } from '../../streams/group/delivery.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'

/** The time for which a result is reused (ms). An old result is safe, because it only hides the newest orders. */
const VALID = 1000

/** The largest difference between the clocks of the apis and of Redis (ms). */
const CLOCK_SKEW = 1000

/** The number of retries whose records one call reads. */
const RECORDS = 100

/** Finds the time before which every accepted order is in MySQL. */
export interface AsOf {
  /**
   * Returns the time as UTC ISO 8601 with milliseconds.
   * @throws {StoreUnavailable} when Redis is unavailable, because only Redis has the orders that wait.
   */
  read: () => Promise<string>
}

/**
 * Creates the finder. The service sets an order's time of acceptance first. A store has the order at most
 * `longestAccept` milliseconds later.
 */
export function createAsOf(redis: RedisStore, keys: Keys, longestAccept: number): AsOf {
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  let newest = 0
  let readAt = Number.NEGATIVE_INFINITY

  const refresh = singleFlight(async () => {
    const begun = performance.now()
    const times = await Promise.all(redis.masters().map(({ run }) => run(readTime)))
    const oldest = await Promise.all(partitions.map(partition => oldestWaiting(redis, keys, partition)))
    // An order in MySQL stays there, so the time never decreases.
    newest = Math.max(newest, Math.min(...times, ...oldest) - longestAccept - CLOCK_SKEW)
    readAt = begun
  })

  return {
    read: async () => {
      if (performance.now() - readAt > VALID || !redis.up()) await refresh()
      return new Date(newest).toISOString()
    }
  }
}

/**
 * Returns the time of the oldest message that waits or is retried in a partition (ms). Reads the stream before the
 * retries, so that a message that becomes a retry in between is not missed.
 */
async function oldestWaiting(redis: RedisStore, keys: Keys, partition: number): Promise<number> {
  const { run } = redis.masterOf(partition)
  const [stream, retry] = [keys.stream(PLACED, partition), keys.retry(ORDER_FUNCTION, partition)]
  const [first] = await run(client => client.xrange(stream, '-', '+', 'COUNT', 1))
  const retries = await run(client => client.zrange(retry, 0, '-1'))
  const ids = retries.sort((a, b) => timeOf(a) - timeOf(b))
  const waiting = first ? timeOf(first[0]) : Number.POSITIVE_INFINITY
  for (let from = 0; from < ids.length; from += RECORDS) {
    const some = ids.slice(from, from + RECORDS)
    const records = await run(client => client.hmget(keys.retrying(ORDER_FUNCTION, partition), ...some))
    // The order of a redriven message has a row already.
    const index = records.findIndex(
      (record, n) => fromRetry(some[n] as string, record ?? '', '').record.redriven === ''
    )
    if (index >= 0) return Math.min(waiting, timeOf(some[index] as string))
  }
  return waiting
}

function timeOf(id: string): number {
  return Number(id.split('-', 1)[0])
}
