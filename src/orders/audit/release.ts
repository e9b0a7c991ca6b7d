import { setTimeout as delay } from 'node:timers/promises'
import { fromRedis } from '../../stores/driver-errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { readPartitionsInUse, removeMarks, setMark } from '../../streams/operate/layout.ts'
import { describeLayout, setLayoutState } from '../../streams/operate/layout-record.ts'
import { type ClientOf, firstWaiting } from '../../streams/operate/waiting.ts'
import { ORDER_FUNCTION, PLACED } from '../names.ts'
import { SERVICE_FUNCTIONS } from '../service-function.ts'
import { toCounter } from './counter.ts'
import { recordReleased } from './epoch-records.ts'
import type { SupersededEpoch } from './watermarks.ts'

const releaseScript = loadScript(new URL('release.lua', import.meta.url))

/** The keys cannot be released yet; the message states what to do first. */
export class ReleaseRefused extends Error {
  override name = 'ReleaseRefused'
}

/** What a release has ended. */
export interface Release {
  prefix: string
  cluster: boolean
  partitions: number
}

/**
 * The time after which every process has seen the mark of a release, and does not use Redis any more (ms). A process
 * probes every two seconds.
 */
const NOTICED_AFTER = 5000

/** The dependencies of `releaseRedis`. */
export interface ReleaseOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
}

/**
 * Ends the use of the keys in Redis, so that processes with another KEY_PREFIX or REDIS_CLUSTER may start. First checks
 * that nothing waits under the keys. Then every running process stops using Redis, and accepts orders in MySQL. At the
 * end, each partition is checked again, and closed in the same moment. The audit of another Redis counts the orders of
 * this one from the watermarks that are recorded then. When this fails half-way, it can be repeated.
 * @throws {ReleaseRefused} when something waits under the keys. They are then in use as before.
 * @throws {StoreUnavailable} when a store is unavailable.
 */
export async function releaseRedis({ redis, mysql, keys }: ReleaseOptions): Promise<Release> {
  // The circuit breaker of this process opens at the mark, too.
  const { clientOf } = redis
  try {
    await requireRest(clientOf, keys)
    if (!(await setLayoutState(mysql, keys, 'releasing')))
      throw new ReleaseRefused(`This database has no orders under ${describeLayout(keys)}.`)
    await setMark(clientOf, keys)
    await delay(NOTICED_AFTER)
    const epochs = await closePartitions(clientOf, keys).catch(async error => {
      await removeMarks(clientOf, keys, keys.partitions)
      await setLayoutState(mysql, keys, 'used')
      throw error
    })
    await recordReleased(mysql, epochs)
    await setLayoutState(mysql, keys, 'released')
    return { prefix: keys.prefix, cluster: keys.spread, partitions: keys.partitions }
  } catch (error) {
    throw error instanceof ReleaseRefused ? error : fromRedis(error)
  }
}

/** @throws {ReleaseRefused} when something waits under the keys. */
async function requireRest(clientOf: ClientOf, keys: Keys): Promise<void> {
  const search = { keys, serviceFunctions: SERVICE_FUNCTIONS }
  const inUse = await readPartitionsInUse(clientOf, keys)
  if (inUse !== keys.partitions)
    throw new ReleaseRefused(
      `This api has STREAM_PARTITIONS=${keys.partitions}, but ${inUse} partitions are in use. Ask an api with this number.`
    )
  const waits = await firstWaiting(clientOf, search, 0, keys.partitions)
  const actions = await clientOf(keys.adminActions()).llen(keys.adminActions())
  const what = waits ?? (actions > 0 ? `${actions} admin actions are not in MySQL yet` : undefined)
  if (what) throw new ReleaseRefused(`The keys are still needed: ${what}. Try again when nothing is left.`)
}

/** Closes every partition, and returns its epochs. @throws {ReleaseRefused} when something waits under the keys. */
async function closePartitions(clientOf: ClientOf, keys: Keys): Promise<SupersededEpoch[]> {
  const closed = await Promise.all(
    Array.from({ length: keys.partitions }, async (_, partition) => {
      const accepted = keys.accepted(partition)
      const used = [accepted, keys.stream(PLACED, partition), keys.retry(ORDER_FUNCTION, partition)]
      const fields = (await releaseScript(clientOf(accepted), used, [])) as string[] | null
      if (!fields) throw new ReleaseRefused('Orders have arrived meanwhile. Try again when nothing is left.')
      const { epoch, count, older } = toCounter(fields)
      return [...older, [epoch, count] as const]
        .filter(([epoch]) => epoch !== '')
        .map(([epoch, count]) => ({ partition, epoch, count }))
    })
  )
  await requireRest(clientOf, keys)
  return closed.flat()
}
