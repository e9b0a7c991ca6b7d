import type { Redis } from 'ioredis'
import { StoreUnavailable } from '../../stores/errors.ts'
import { readTime } from '../../stores/redis/clock.ts'
import { NO_FACTS, type RedisFacts } from '../../stores/redis/facts.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisServer } from '../../stores/redis/server.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import type { Watermarks } from '../audit/watermarks.ts'
import { identityOf } from '../identity.ts'
import { LARGE_MESSAGE, PLACED } from '../names.ts'
import { BacklogFull, createBacklog } from './backlog.ts'
import type { Candidate } from './candidate.ts'
import { checkAge } from './longest-accept.ts'
import { KeysReleased, MayEvictOrders } from './refusals.ts'

const acceptScript = loadScript(new URL('accept.lua', import.meta.url))

/**
 * The answer of Redis for an order: the order is accepted, the order exists already, or the backlog is full. An accepted
 * order that too few replicas have has its ordinal, `<epoch>:<number>`.
 */
export type Appended =
  | { kind: 'accepted'; durability: 'fsync' | 'memory' | 'replicated' }
  | { kind: 'unreplicated'; ordinal: string }
  | { kind: 'known'; document: string; replicated: boolean }
  | { kind: 'full'; error: BacklogFull }

/** The dependencies of `createAppend`. */
export interface AppendOptions {
  redis: RedisStore
  keys: Keys
  watermarks: Watermarks
  /** The longest time of a call (ms). Redis accepts no order of a call that it runs later. */
  timeout: number
  /** The number of replicas that must have an accepted order. */
  minReplicas: number
  /** The most messages that may wait, over all partitions. */
  maxBacklog: number
  /** The most bytes of large messages that may wait, over all partitions. */
  maxBacklogBytes: number
}

/**
 * Accepts orders of one partition in Redis with one script call. Returns one answer for each order.
 * @throws {StoreUnavailable} when Redis does not confirm the call. It may have accepted the orders already, but does
 * not accept them later.
 */
export type Append = (candidates: Candidate[], partition: number) => Promise<Appended[]>

/** Creates the function that accepts orders in Redis. */
export function createAppend(options: AppendOptions): Append {
  const { redis, keys, minReplicas } = options
  const call = createCall(options)
  return async (candidates, partition) => {
    const master = redis.masterOf(partition)
    if (minReplicas === 0)
      return toAnswers(await master.run((client, server) => call(candidates, partition, client, server)))
    const { value, replicated } = await master.replicate(async (client, server) => {
      const reply = await call(candidates, partition, client, server)
      // WAIT is about the writes of its own connection, and another connection may have written a known order.
      if (reply.refusals.size > 0) await client.hset(keys.accepted(partition), 'confirmed', '1')
      return reply
    })
    return toAnswers({ ...value, durability: replicated ? 'replicated' : 'none' })
  }
}

/** The reply of accept.lua. */
interface Reply {
  /** The number of the call's orders. */
  size: number
  epoch: string
  /** The number of orders that were accepted in the epoch. */
  count: number
  /** The documents of the orders that exist already, by position; '' for an order that a full backlog refused. */
  refusals: Map<number, string>
  backlogFull: () => BacklogFull
  durability: RedisFacts['durability'] | 'replicated' | 'none'
}

function createCall(options: AppendOptions) {
  const { keys, watermarks, timeout, maxBacklog, maxBacklogBytes } = options
  const cap = Math.ceil(maxBacklog / keys.partitions)
  const mostBytes = Math.ceil(maxBacklogBytes / keys.partitions)
  const backlogs = Array.from({ length: keys.partitions }, () => createBacklog(cap))

  return async (
    candidates: Candidate[],
    partition: number,
    client: Redis,
    { clock, facts }: RedisServer
  ): Promise<Reply> => {
    // The calls before this one may have waited for replicas.
    checkAge(candidates, timeout)
    const known = facts()
    // The connection has just reached a server, which may be another one. The next probe finds out.
    if (known === NO_FACTS)
      throw new StoreUnavailable('redis', new Error('nothing is known about the server yet'))
    if (known.evicts) throw new MayEvictOrders()
    const deadline = (clock.now() ?? (await readTime(client))) + timeout
    const used = [keys.stream(PLACED, partition), keys.accepted(partition), keys.settled(partition)]
    const { epoch: seen, count: highest, next } = watermarks.current(partition)
    const args: (string | number)[] = [deadline, next, cap, seen, highest, mostBytes, LARGE_MESSAGE]
    args.push(known.replicationId, known.replacedId)
    for (const { order, document, message, version, origin } of candidates) {
      used.push(keys.document(identityOf(order)))
      args.push(document, version, message, origin.requestId, origin.traceparent)
    }
    const reply = await acceptScript(client, used, args)
    const [now, count, waiting, refused, epoch = seen] = reply as [
      number,
      number,
      number,
      ((number | string)[] | 'released')?,
      string?
    ]
    clock.saw(now)
    const backlog = backlogs[partition] as (typeof backlogs)[number]
    backlog.sample(count, waiting)
    if (refused === 'released') throw new KeysReleased()
    if (!refused) throw new StoreUnavailable('redis', new Error('the call arrived after its deadline'))
    watermarks.observe(partition, { epoch, count })
    const refusals = new Map<number, string>()
    for (let i = 0; i < refused.length; i += 2) refusals.set(refused[i] as number, refused[i + 1] as string)
    const backlogFull = () => new BacklogFull(backlog.retryAfter())
    return { size: candidates.length, epoch, count, refusals, backlogFull, durability: known.durability }
  }
}

/** Converts a reply to one answer for each order. The accepted orders have the last numbers of the epoch. */
function toAnswers({ size, epoch, count, refusals, backlogFull, durability }: Reply): Appended[] {
  const replicated = durability !== 'none'
  let number = count - (size - refusals.size)
  return Array.from({ length: size }, (_, index) => {
    const document = refusals.get(index)
    if (document === undefined) {
      number++
      return replicated
        ? { kind: 'accepted', durability }
        : { kind: 'unreplicated', ordinal: `${epoch}:${number}` }
    }
    if (document === '') return { kind: 'full', error: backlogFull() }
    return { kind: 'known', document, replicated }
  })
}
