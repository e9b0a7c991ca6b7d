import { singleFlight } from '../../async/single-flight.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { fromRetry } from '../../streams/group/delivery.ts'
import type { Keys } from '../../streams/keys.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'

/** The time for which an answer is used again (ms). An older one is safe: it only hides the newest orders. */
const VALID = 1000

/** The largest difference between the clocks of the apis and of Redis (ms). */
const CLOCK_SKEW = 1000

/** Retries whose records are read at once. */
const RECORDS = 100

/** Finds the time before which every accepted order is in MySQL. */
export interface AsOf {
  /**
   * Returns the time, as UTC ISO 8601 with milliseconds.
   * @throws {StoreUnavailable} while Redis is unavailable: orders that wait there are not in MySQL.
   */
  read: () => Promise<string>
}

/**
 * Creates the finder. `longestAccept` is the longest time from the acceptance of an order to its message or its row
 * (ms): its time is set before.
 */
export function createAsOf(redis: RedisStore, keys: Keys, longestAccept: number): AsOf {
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  let newest = 0
  let readAt = Number.NEGATIVE_INFINITY

  const refresh = singleFlight(async () => {
    const begun = performance.now()
    const [seconds, microseconds] = await redis.run(client => client.time())
    const now = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    const oldest = await Promise.all(partitions.map(partition => oldestWaiting(redis, keys, partition)))
    // What was in MySQL once stays there, so the time never goes back.
    newest = Math.max(newest, Math.min(now, ...oldest) - longestAccept - CLOCK_SKEW)
    readAt = begun
  })

  return {
    read: async () => {
      if (performance.now() - readAt > VALID || !redis.availability.up) await refresh()
      return new Date(newest).toISOString()
    }
  }
}

/**
 * The time of the oldest message that waits or is retried in a partition (ms). A message that becomes a retry meanwhile
 * is found in the stream, which is read first.
 */
async function oldestWaiting(redis: RedisStore, keys: Keys, partition: number): Promise<number> {
  const [stream, retry] = [keys.stream(PLACED, partition), keys.retry(ORDER_FUNCTION, partition)]
  const [first] = await redis.run(client => client.xrange(stream, '-', '+', 'COUNT', 1))
  const retries = await redis.run(client => client.zrange(retry, 0, '-1'))
  const ids = retries.sort((a, b) => timeOf(a) - timeOf(b))
  const waiting = first ? timeOf(first[0]) : Number.POSITIVE_INFINITY
  for (let from = 0; from < ids.length; from += RECORDS) {
    const some = ids.slice(from, from + RECORDS)
    const records = await redis.run(client => client.hmget(keys.retrying(ORDER_FUNCTION, partition), ...some))
    // A redriven order has its row already.
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
