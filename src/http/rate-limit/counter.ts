import type { RedisMaster } from '../../stores/redis/master.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'

/**
 * The interval at which the processes add up their counts in Redis (ms). Requests within this time may exceed the
 * limit.
 */
const SYNC_INTERVAL = 100

/** The time for which a count stays in Redis (s): its own second, and a few seconds for late replies. */
const KEEP = 5

interface Count {
  /** Requests of this process that are not sent to Redis yet. */
  unsent: number
  /** Requests of all processes, as Redis last returned them. */
  total: number
}

/**
 * Counts the requests of each client in each second, over all processes, without a round trip per request. A process
 * counts a request at once, and adds its counts to Redis ten times a second. While Redis is unavailable, each process
 * continues with its own count.
 */
export interface RateCounter {
  /**
   * Counts a request from a sender. Returns the count of its client in this second so far. `clientOf` returns the client
   * of a sender, which may have many names, such as addresses; by default the sender itself is the client.
   */
  hit: (sender: string, clientOf?: (sender: string) => string) => number
  /** Returns the count of a client in this second so far, and how much of the second is left (ms). */
  look: (client: string) => { current: number; ttl: number }
  start: () => void
  stop: () => void
}

/** Creates the counter of requests. */
export function createRateCounter(redis: RedisStore, keys: Keys): RateCounter {
  let second = 0
  let counts = new Map<string, Count>()
  let bySender = new Map<string, Count>()
  let timer: NodeJS.Timeout | undefined

  const sync = async (at: number, counted: Map<string, Count>) => {
    const busy = [...counted].filter(([, count]) => count.unsent > 0)
    const parts = Map.groupBy(busy, ([client]) => keys.partitionOf(client))
    await Promise.all([...parts].map(([partition, part]) => add(redis.masterOf(partition), at, part)))
  }

  const add = async (master: RedisMaster, at: number, counted: [string, Count][]) => {
    if (!master.availability.up) return
    const pipeline = master.client.pipeline()
    for (const [client, count] of counted) {
      pipeline.incrby(keys.rate(client, at), count.unsent).expire(keys.rate(client, at), KEEP)
      count.total += count.unsent
      count.unsent = 0
    }
    const replies = (await pipeline.exec()) ?? []
    counted.forEach(([, count], index) => {
      const reply = replies[index * 2]?.[1]
      if (typeof reply === 'number') count.total = Math.max(count.total, reply)
    })
  }

  /** Returns the count for a sender that is new in this second. */
  const countOf = (sender: string, client: string): Count => {
    const count = counts.get(client) ?? { unsent: 0, total: 0 }
    counts.set(client, count)
    bySender.set(sender, count)
    return count
  }

  return {
    hit: (sender, clientOf) => {
      const current = Math.floor(Date.now() / 1000)
      if (current !== second) {
        second = current
        counts = new Map()
        bySender = new Map()
      }
      const count = bySender.get(sender) ?? countOf(sender, clientOf?.(sender) ?? sender)
      count.unsent++
      return count.total + count.unsent
    },
    look: client => {
      const { total, unsent } = counts.get(client) ?? { total: 0, unsent: 0 }
      return { current: total + unsent, ttl: Math.max(1, (second + 1) * 1000 - Date.now()) }
    },
    start: () => {
      timer = setInterval(() => {
        // A count that was not sent is missing for a second at most, because the next second starts at zero.
        sync(second, counts).catch(() => {})
      }, SYNC_INTERVAL)
    },
    stop: () => clearInterval(timer)
  }
}
