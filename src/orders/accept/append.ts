import { StoreUnavailable } from '../../stores/errors.ts'
import { readTime } from '../../stores/redis/clock.ts'
import type { RedisFacts } from '../../stores/redis/facts.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import type { Watermarks } from '../audit/watermarks.ts'
import { identityOf } from '../identity.ts'
import { LARGE_MESSAGE, PLACED } from '../names.ts'
import { BacklogFull, createBacklog } from './backlog.ts'
import type { Candidate } from './candidate.ts'
import { MayEvictOrders } from './refusals.ts'

const acceptScript = loadScript(new URL('accept.lua', import.meta.url))

/** The answer of Redis for an order: the order is accepted, the order exists already, or the backlog is full. */
export type Appended =
  | { kind: 'accepted'; durability: RedisFacts['durability'] }
  | { kind: 'known'; document: string }
  | { kind: 'full'; error: BacklogFull }

/** The dependencies of `createAppend`. */
export interface AppendOptions {
  redis: RedisStore
  keys: Keys
  watermarks: Watermarks
  /** The longest time of a call (ms). Redis accepts no order of a call that it runs later. */
  timeout: number
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
  const { redis, keys, watermarks, timeout, maxBacklog, maxBacklogBytes } = options
  const cap = Math.ceil(maxBacklog / keys.partitions)
  const mostBytes = Math.ceil(maxBacklogBytes / keys.partitions)
  const backlogs = Array.from({ length: keys.partitions }, () => createBacklog(cap))

  return (candidates, partition) =>
    redis.masterOf(partition).run(async (client, { clock, facts }) => {
      const { durability, evicts } = facts()
      if (evicts) throw new MayEvictOrders()
      const deadline = (clock.now() ?? (await readTime(client))) + timeout
      const used = [keys.stream(PLACED, partition), keys.accepted(partition), keys.settled(partition)]
      const { epoch: seen, count: highest, next } = watermarks.current(partition)
      const args: (string | number)[] = [deadline, next, cap, seen, highest, mostBytes, LARGE_MESSAGE]
      for (const { order, document, message, version, origin } of candidates) {
        used.push(keys.document(identityOf(order)))
        args.push(document, version, message, origin.requestId, origin.traceparent)
      }
      const reply = await acceptScript(client, used, args)
      const [now, accepted, waiting, refused, epoch] = reply as [
        number,
        number,
        number,
        (number | string)[]?,
        string?
      ]
      clock.saw(now)
      const backlog = backlogs[partition] as (typeof backlogs)[number]
      backlog.sample(accepted, waiting)
      if (!refused) throw new StoreUnavailable('redis', new Error('the call arrived after its deadline'))
      watermarks.observe(partition, { epoch: epoch ?? seen, count: accepted })
      const added: Appended = { kind: 'accepted', durability }
      const answers = candidates.map((): Appended => added)
      for (let i = 0; i < refused.length; i += 2) {
        const document = refused[i + 1] as string
        answers[refused[i] as number] =
          document === ''
            ? { kind: 'full', error: new BacklogFull(backlog.retryAfter()) }
            : { kind: 'known', document }
      }
      return answers
    })
}
