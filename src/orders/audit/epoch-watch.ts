import type { FastifyBaseLogger } from 'fastify'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { isRewound, lifeOf, toCount } from './epoch.ts'
import { type AcceptedSeen, noteHighest, readAcceptedSeen } from './epochs.ts'
import type { SeenCounters } from './seen-counters.ts'

const beginEpoch = loadScript(new URL('begin-epoch.lua', import.meta.url))

export interface EpochWatchOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
  counters: SeenCounters
  log: FastifyBaseLogger
}

/**
 * Makes what an api does beside its requests: it looks at the counters of accepted orders, so that a loss of data shows
 * though no order is accepted, and notes in MySQL how far each epoch had come that Redis has left. What could not be
 * noted stays for the next call.
 *
 * A call throws {StoreUnavailable} when a store is away.
 */
export function createEpochWatch(options: EpochWatchOptions): () => Promise<void> {
  const { redis, mysql, keys, counters } = options
  let learned = false

  const look = async (partition: number) => {
    const key = keys.accepted(partition)
    const [epoch, count] = await redis.run(client => client.hmget(key, 'epoch', 'count'))
    // What is no number has lost what it was.
    const now = { epoch: epoch ?? '', count: toCount(count) }
    const { epoch: seen, count: highest, next } = counters.seen(partition)
    if (!isRewound(now, { epoch: seen, count: highest })) {
      if (now.epoch !== '') counters.saw(partition, now)
      return
    }
    const reply = await redis.run(client => beginEpoch(client, [key], [next, seen, highest]))
    const [begun, accepted] = reply as [string, number]
    counters.saw(partition, { epoch: begun, count: accepted })
  }

  return async () => {
    try {
      if (!learned && mysql.availability.up) {
        learn(await readAcceptedSeen(mysql), keys, counters)
        learned = true
      }
      await Promise.all(Array.from({ length: keys.partitions }, (_, partition) => look(partition)))
    } catch (error) {
      // Another process may have seen more by the time that Redis is there again.
      learned = false
      throw error
    } finally {
      await noteLeft(options)
    }
  }
}

/** Takes in what MySQL has seen of each partition's newest epoch: another process may have seen more than this one. */
function learn(known: AcceptedSeen[], keys: Keys, counters: SeenCounters): void {
  for (const [partition, epochs] of Map.groupBy(known, row => row.partition)) {
    const newest = epochs.reduce((a, b) => (lifeOf(b.epoch) > lifeOf(a.epoch) ? b : a))
    // Names of an older version do not say which of them is the newest.
    if (partition < keys.partitions && (lifeOf(newest.epoch) > 0 || epochs.length === 1))
      counters.saw(partition, { epoch: newest.epoch, count: newest.highest })
  }
}

async function noteLeft({ redis, mysql, keys, counters, log }: EpochWatchOptions): Promise<void> {
  const { length } = counters.left
  if (length === 0) return
  const rows = await Promise.all(
    counters.left.map(async ({ partition, epoch, count }) => {
      const kept = redis.run(client => client.hget(keys.accepted(partition), `epoch:${epoch}`))
      const restored = await kept.then(
        text => Number(text ?? 0),
        () => undefined
      )
      return { partition, epoch, highest: count, restored }
    })
  )
  await noteHighest(mysql, rows)
  counters.left.splice(0, length)
  for (const row of rows) log.error(row, 'redis lost data: its counter is behind what was accepted')
}
