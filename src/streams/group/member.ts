import { GroupExists, GroupMissing, StoreRefused } from '../../stores/errors.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { type ResolvedFunction, versionsOf } from '../function.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES, partsOf } from '../limits.ts'
import { EVENTS, LOGS } from '../names.ts'
import { toMember } from '../registry/known-functions.ts'
import { type Delivery, type Entry, fromEntry, fromRetry, SUSPECT_DELIVERIES } from './delivery.ts'
import {
  decodeReply,
  encodeSettlements,
  type Settled,
  type Settlement,
  type SettleReply
} from './settlement.ts'

const scripts = {
  settle: loadScript(new URL('settle.lua', import.meta.url)),
  claim: loadScript(new URL('claim.lua', import.meta.url)),
  takeRetries: loadScript(new URL('take-retries.lua', import.meta.url)),
  renew: loadScript(new URL('renew.lua', import.meta.url)),
  release: loadScript(new URL('release.lua', import.meta.url)),
  leave: loadScript(new URL('leave.lua', import.meta.url)),
  forgetIdle: loadScript(new URL('forget-idle.lua', import.meta.url))
}

/** A consumer that has been idle for so many leases is removed. */
const FORGET_AFTER = 10

/** Most leases that one script call renews: such a call blocks Redis for about 7 ms. */
const RENEW_SIZE = 1000

/**
 * The messages to take. `safe`: no suspect (see `SUSPECT_DELIVERIES`). `suspect`: one suspect, when there is no other
 * message.
 */
export type TakeMode = 'safe' | 'suspect'

/** Messages that were taken, and the number of suspects that were skipped. */
export interface TakenMessages {
  deliveries: Delivery[]
  suspects: number
}

/** The workers that may take a released message: any worker, or only workers that support its version. */
export type ReleasedTo = 'anyone' | 'others'

/** One consumer in the group of a function, in one partition. It does all work of the runtime in Redis Streams. */
export interface GroupMember {
  stream: string
  group: string
  consumer: string
  /**
   * Creates the group if it is missing. The group starts at the beginning of the stream, so that messages that no group
   * has acknowledged are delivered. A new group on a log starts where the option `start` of its function says.
   * @throws {StoreRefused} when the group is missing and Redis refuses writes.
   */
  join: () => Promise<void>
  /**
   * Takes over up to `count` messages that have been idle for a lease; fewer when they are large. Pass the `cursor` of
   * the result to continue the scan.
   */
  claim: (cursor: string, count: number, mode: TakeMode) => Promise<TakenMessages & { cursor: string }>
  /**
   * Takes up to `count` messages that were delivered to this consumer and are not `inFlight`, because the reply was
   * lost with its connection. The lost delivery does not count. Pass the `cursor` of the result to continue the scan.
   */
  takeLost: (
    cursor: string,
    count: number,
    inFlight: Iterable<Delivery>,
    mode: TakeMode
  ) => Promise<TakenMessages & { cursor: string }>
  /**
   * Takes up to `count` messages whose next attempt is due; fewer when they are large. Renews expired leases of
   * messages that are `inFlight`.
   */
  takeRetries: (count: number, inFlight: Iterable<Delivery>, mode: TakeMode) => Promise<TakenMessages>
  /** Settles messages, writes their keys and publishes their events, in one atomic step. */
  settle: (settlements: Settlement[]) => Promise<Settled>
  /** Renews the lease of messages that this consumer still owns. */
  renew: (deliveries: Delivery[]) => Promise<void>
  /**
   * Returns messages to the group. This uses no attempt. They count as idle for `idle` ms, and any worker can take them
   * over when they have been idle for a lease. With `others`, workers that support their version can take them at once,
   * and this consumer does not take them again.
   */
  release: (deliveries: Delivery[], idle: number, to?: ReleasedTo) => Promise<void>
  /** Removes this consumer if it has no pending messages. */
  leave: () => Promise<void>
  /**
   * Removes consumers that have been idle for long and have no pending messages. Returns how many it removed; 0 when
   * there is no group.
   */
  forgetIdle: () => Promise<number>
}

/** The dependencies of a group member. */
export interface GroupMemberOptions {
  redis: RedisStore
  keys: Keys
  definition: Pick<ResolvedFunction, 'name' | 'stream' | 'group'> & Partial<Pick<ResolvedFunction, 'version'>>
  partition: number
  /** Name of this process among the consumers of the group. */
  consumer: string
  /** Returns the lease (ms), which may change. Another worker takes over a message that is idle for longer. */
  lease: () => number
  /** Creates the missing groups of a function on a log, at the right positions. */
  begin?: (() => Promise<void>) | undefined
}

/** The dependencies of a group member, with the master of its partition. */
type MemberOptions = Omit<GroupMemberOptions, 'redis'> & { redis: RedisMaster }

function createSettler({ redis, keys, definition, partition, consumer }: MemberOptions) {
  const { name, stream, group } = definition
  const fixed = [
    keys.stream(stream, partition),
    keys.stream(EVENTS, partition),
    keys.retry(name, partition),
    keys.retrying(name, partition),
    keys.dead(name, partition),
    keys.settled(partition)
  ]
  const owner = [group, consumer, LOGS.includes(stream) ? 'keep' : 'delete']
  return async (settlements: Settlement[]): Promise<Settled> => {
    const call = encodeSettlements(settlements, fixed, owner)
    const reply = await redis.run(client => scripts.settle(client, call.keys, call.args))
    return decodeReply(reply as SettleReply)
  }
}

function createReleaser({ redis, keys, definition, partition, consumer, lease }: MemberOptions) {
  const used = [
    keys.stream(definition.stream, partition),
    keys.retry(definition.name, partition),
    keys.retrying(definition.name, partition)
  ]
  const fieldsOf = ({ source, id, token, deliveries, record }: Delivery, to: ReleasedTo) => [
    source,
    id,
    token,
    deliveries,
    to === 'others' ? record.v : ''
  ]
  // The script rewrites the record of a retry, so the size of the record counts.
  const written = ({ source, record }: Delivery) => (source === 'retry' ? record.data.length : 0)
  return async (deliveries: Delivery[], idle: number, to: ReleasedTo = 'anyone'): Promise<void> => {
    for (const part of partsOf(deliveries, CALL_BYTES, written)) {
      const args = part.flatMap(delivery => fieldsOf(delivery, to))
      await redis.run(client =>
        scripts.release(client, used, [definition.group, consumer, idle, lease(), ...args])
      )
    }
  }
}

/** Creates the group member of a consumer. Its calls throw {StoreUnavailable} when Redis is unavailable. */
export function createGroupMember(given: GroupMemberOptions): GroupMember {
  const options = { ...given, redis: given.redis.masterOf(given.partition) }
  const { redis, keys, definition, partition, consumer, lease, begin } = options
  const { name, group } = definition
  const versions = versionsOf(definition)
  let joined = false
  const stream = keys.stream(definition.stream, partition)
  const [retry, retrying] = [keys.retry(name, partition), keys.retrying(name, partition)]

  const claim = async (cursor: string, count: number, mode: TakeMode, which: (string | number)[]) => {
    const args = [group, consumer, lease(), cursor, count, SUSPECT_DELIVERIES, mode, CALL_BYTES, ...which]
    const reply = await redis.run(client => scripts.claim(client, [stream], args))
    const [next, entries, suspects] = reply as [string, [...Entry, deliveries: number][], number]
    return {
      cursor: next,
      deliveries: entries.map(([id, fields, times]) => fromEntry([id, fields], times)),
      suspects
    }
  }

  return {
    stream,
    group,
    consumer,
    join: async () => {
      if (begin && !joined) await begin()
      else await makeGroup(redis, stream, group)
      joined = true
      // A full server refuses this write. The function is recorded when it joins again.
      await redis
        .run(client => client.sadd(keys.functions(partition), toMember(definition)))
        .catch(unlessRefused)
    },
    claim: (cursor, count, mode) => claim(cursor, count, mode, ['expired', versions.length, ...versions]),
    takeLost: (cursor, count, inFlight, mode) => {
      const held = Array.from(inFlight, ({ id }) => id)
      return claim(cursor, count, mode, ['lost', versions.length, ...versions, ...held])
    },
    takeRetries: async (count, inFlight, mode) => {
      const held: string[] = []
      for (const { source, id, token } of inFlight) if (source === 'retry') held.push(`${id}#${token}`)
      const reply = await redis.run(client =>
        scripts.takeRetries(
          client,
          [retry, retrying],
          [lease(), count, CALL_BYTES, SUSPECT_DELIVERIES, mode, versions.length, ...versions, ...held]
        )
      )
      const [taken, suspects] = reply as [[string, string, string][], number]
      return { deliveries: taken.map(([id, record, token]) => fromRetry(id, record, token)), suspects }
    },
    settle: createSettler(options),
    renew: async deliveries => {
      for (let first = 0; first < deliveries.length; first += RENEW_SIZE) {
        const part = deliveries.slice(first, first + RENEW_SIZE)
        const args = part.flatMap(({ source, id, token }) => [source, id, token])
        await redis.run(client =>
          scripts.renew(client, [stream, retry, retrying], [group, consumer, lease(), ...args])
        )
      }
    },
    release: createReleaser(options),
    leave: async () => {
      await redis.run(client => scripts.leave(client, [stream], [group, consumer]))
    },
    forgetIdle: () =>
      redis.run(client =>
        scripts.forgetIdle(client, [stream], [group, lease() * FORGET_AFTER])
      ) as Promise<number>
  }
}

/**
 * Creates a group if it is missing. The group reads all entries, or only entries after `position`.
 * @throws {StoreRefused} when the group is missing and Redis refuses writes.
 */
export async function makeGroup(
  redis: RedisMaster,
  stream: string,
  group: string,
  position = '0'
): Promise<void> {
  try {
    await redis.run(client => client.xgroup('CREATE', stream, group, position, 'MKSTREAM'))
  } catch (error) {
    if (error instanceof GroupExists) return
    if (!(error instanceof StoreRefused)) throw error
    // A full server refuses the command even when the group exists, and the group can still be used.
    await redis
      .run(client => client.xpending(stream, group))
      .catch(missing => {
        throw missing instanceof GroupMissing ? error : missing
      })
  }
}

function unlessRefused(error: unknown): void {
  if (!(error instanceof StoreRefused)) throw error
}
