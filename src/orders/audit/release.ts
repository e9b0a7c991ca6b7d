import { setTimeout as delay } from 'node:timers/promises'
import type { RedisRelease } from '../../../schema/http/redis-release.ts'
import { fromRedis } from '../../stores/driver-errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { hasMark, readPartitionCount, removeMarks, setMark } from '../../streams/operate/layout.ts'
import { describeLayout, isSame, readLayout, setLayoutState } from '../../streams/operate/layout-record.ts'
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

/** The pause between two probes of an available Redis (ms). */
const PROBE_INTERVAL = 2000

/** The dependencies of `releaseRedis`. */
export interface ReleaseOptions {
  redis: RedisStore
  mysql: MysqlStore
  keys: Keys
  /** The longest time that a call to a store may take (ms). */
  timeout: number
}

/**
 * Ends the use of the keys in Redis, so that processes with another KEY_PREFIX or REDIS_CLUSTER may start. First checks
 * that nothing waits under the keys. Then every running process stops using Redis, and accepts orders in MySQL. At the
 * end, each partition is checked again, and closed in the same moment. The audit of another Redis counts the orders of
 * this one from the watermarks that are recorded then. When this fails half-way, it can be repeated.
 * @throws {ReleaseRefused} when something waits under the keys. They are then in use as before.
 * @throws {StoreUnavailable} when a store is unavailable.
 */
export async function releaseRedis(options: ReleaseOptions): Promise<RedisRelease> {
  const { redis, mysql, keys } = options
  // Bypasses the circuit breaker, which opens when this process sees the mark.
  const { clientOf } = redis
  const known = await readLayout(mysql, keys)
  if (!isSame(known, keys)) throw elsewhere(keys)
  let begun = known.state === 'releasing'
  try {
    await refuseWhileWaiting(clientOf, keys)
    if (!(await setLayoutState(mysql, keys, ['used', 'releasing', 'released'], 'releasing')))
      throw elsewhere(keys)
    begun = true
    await setMark(clientOf, keys)
    await delay(noticedAfter(options))
    const epochs = await closePartitions(clientOf, keys)
    await recordReleased(mysql, epochs)
    // Another release may have ended in between, or a failover may have lost the mark.
    const whole = await hasMark(clientOf, keys)
    if (!whole || !(await setLayoutState(mysql, keys, ['releasing'], 'released')))
      throw new ReleaseRefused('Something has undone the release. Run it again.')
    return { prefix: keys.prefix, cluster: keys.cluster, partitions: keys.partitions }
  } catch (error) {
    // If this fails, too, the next run ends the release or undoes it.
    if (begun) await undo(options).catch(() => {})
    throw error instanceof ReleaseRefused ? error : fromRedis(error)
  }
}

async function undo({ redis: { clientOf }, mysql, keys }: ReleaseOptions): Promise<void> {
  await removeMarks(clientOf, keys, keys.partitions)
  await setLayoutState(mysql, keys, ['releasing'], 'used')
}

/**
 * Returns the time after which every process has seen the mark (ms). In a cluster, the probe of one master finds the mark,
 * and the next probe of each other master uses the result.
 */
function noticedAfter({ timeout }: ReleaseOptions): number {
  return 2 * (PROBE_INTERVAL + 2 * timeout)
}

function elsewhere(keys: Keys): ReleaseRefused {
  return new ReleaseRefused(
    `The orders of this database are not under ${describeLayout(keys)}. Ask an api with the settings in use.`
  )
}

/** @throws {ReleaseRefused} when something waits under the keys. */
async function refuseWhileWaiting(clientOf: ClientOf, keys: Keys): Promise<void> {
  const search = { keys, serviceFunctions: SERVICE_FUNCTIONS, matters: () => true }
  const inUse = await readPartitionCount(clientOf, keys)
  if (inUse !== keys.partitions)
    throw new ReleaseRefused(
      `This api has STREAM_PARTITIONS=${keys.partitions}, but ${inUse} partitions are in use. Ask an api with STREAM_PARTITIONS=${inUse}.`
    )
  const waits = await firstWaiting(clientOf, search, 0, keys.partitions)
  const actions = await clientOf(keys.adminActions()).llen(keys.adminActions())
  const what = waits ?? (actions > 0 ? `${actions} admin actions are not in MySQL yet` : undefined)
  if (what)
    throw new ReleaseRefused(
      `The keys are still needed: ${what}. Redrive or discard dead letters, and try again when nothing waits.`
    )
}

/** Closes every partition, and returns its epochs. @throws {ReleaseRefused} when something waits under the keys. */
async function closePartitions(clientOf: ClientOf, keys: Keys): Promise<SupersededEpoch[]> {
  // All calls have ended before an undo opens the partitions again.
  const closed = await Promise.allSettled(
    Array.from({ length: keys.partitions }, async (_, partition) => {
      const accepted = keys.accepted(partition)
      const used = [accepted, keys.stream(PLACED, partition), keys.retry(ORDER_FUNCTION, partition)]
      const fields = (await releaseScript(clientOf(accepted), used, [])) as string[] | null
      if (!fields)
        throw new ReleaseRefused(
          'Orders have arrived since the release began, and the keys are in use again. Try again when no orders arrive.'
        )
      const { epoch, count, older } = toCounter(fields)
      return [...older, [epoch, count] as const]
        .filter(([epoch]) => epoch !== '')
        .map(([epoch, count]) => ({ partition, epoch, count }))
    })
  )
  const epochs = closed.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
  await refuseWhileWaiting(clientOf, keys)
  return epochs.flat()
}
