import type { FastifyBaseLogger } from 'fastify'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { generationOf, isBehind, parseCount } from './epoch.ts'
import { type EpochRecord, readEpochRecords, recordWatermarks } from './epoch-records.ts'
import type { Watermarks } from './watermarks.ts'

const beginEpoch = loadScript(new URL('begin-epoch.lua', import.meta.url))

/** The dependencies of the watch. */
export interface EpochWatchOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
  watermarks: Watermarks
  log: FastifyBaseLogger
}

/**
 * Creates the check that finds lost data even while no order is accepted. The check compares each partition's counter
 * with its watermark, and begins a new epoch when the counter is behind. Then it records the watermarks of superseded
 * epochs in MySQL. When MySQL cannot record them, the next check does. The check throws {StoreUnavailable} when
 * a store is unavailable.
 */
export function createEpochWatch(options: EpochWatchOptions): () => Promise<void> {
  const { redis, mysql, keys, watermarks } = options
  let hasReadRecords = false

  const checkPartition = async (partition: number) => {
    const key = keys.accepted(partition)
    const [epoch, count] = await redis.masterOf(partition).run(client => client.hmget(key, 'epoch', 'count'))
    const counter = { epoch: epoch ?? '', count: parseCount(count) }
    const { next, ...watermark } = watermarks.current(partition)
    if (!isBehind(counter, watermark)) {
      if (counter.epoch !== '') watermarks.observe(partition, counter)
      return
    }
    const args = [next, watermark.epoch, watermark.count]
    const [begun, accepted] = (await redis
      .masterOf(partition)
      .run(client => beginEpoch(client, [key], args))) as [string, number]
    watermarks.observe(partition, { epoch: begun, count: accepted })
  }

  return async () => {
    try {
      if (!hasReadRecords && mysql.availability.up) {
        observeRecords(await readEpochRecords(mysql), keys, watermarks)
        hasReadRecords = true
      }
      await Promise.all(Array.from({ length: keys.partitions }, (_, partition) => checkPartition(partition)))
    } catch (error) {
      // While a store was unavailable, another process may have recorded a higher watermark.
      hasReadRecords = false
      throw error
    } finally {
      await recordSuperseded(options)
    }
  }
}

/** Raises each partition's watermark to its newest record, because another process may have observed more orders. */
function observeRecords(records: EpochRecord[], keys: Keys, watermarks: Watermarks): void {
  for (const [partition, epochs] of Map.groupBy(records, record => record.partition)) {
    const newest = epochs.reduce((a, b) => (generationOf(b.epoch) > generationOf(a.epoch) ? b : a))
    // Epoch names of an older version do not show which epoch is the newest. A single epoch is the newest.
    if (partition < keys.partitions && (generationOf(newest.epoch) > 0 || epochs.length === 1))
      watermarks.observe(partition, { epoch: newest.epoch, count: newest.highest })
  }
}

async function recordSuperseded({ redis, mysql, keys, watermarks, log }: EpochWatchOptions): Promise<void> {
  const epochs = watermarks.superseded.slice()
  if (epochs.length === 0) return
  await recordWatermarks(mysql, epochs)
  const kept = await Promise.all(
    epochs.map(({ partition, epoch }) => {
      const key = keys.accepted(partition)
      return redis.masterOf(partition).run(client => client.hget(key, `epoch:${epoch}`))
    })
  )
  const records = await readEpochRecords(mysql)
  watermarks.superseded.splice(0, epochs.length)
  for (const [index, { partition, epoch, count }] of epochs.entries()) {
    const facts = { partition, epoch, highest: count, kept: parseCount(kept[index]) }
    const record = records.find(each => each.partition === partition && each.epoch === epoch)
    if (record?.acknowledged != null && record.settledTo >= count)
      log.info(facts, 'redis begins a new epoch: no order of the old one is missing')
    else if (facts.kept < count) log.error(facts, 'redis lost data: its counter is behind what was accepted')
    else log.warn(facts, 'redis has another server, with every order that this process has seen')
  }
}
