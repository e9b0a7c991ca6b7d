import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Consumer } from '../consume/consumer.ts'
import type { Keys } from '../keys.ts'
import { LOGS } from '../names.ts'
import { type KnownFunction, readKnownFunctions, toMember } from './known-functions.ts'
import { readUnsettledIn } from './unsettled.ts'

const noteAliveScript = loadScript(new URL('heartbeat.lua', import.meta.url))

/** What waits for a function on a stream, over all partitions. */
export interface FunctionState {
  name: string
  stream: string
  /** Messages that it has not settled. Those of a queue, whichever function consumes it. */
  depth: number
  /** Messages that wait for another attempt; they belong to the function, and stand with its first stream. */
  retrying: number
  /** Dead letters; they stand with the first stream, too. */
  dead: number
  /** How long no worker has run it on this stream (ms); undefined when none was ever noted. */
  silent: number | undefined
  /** Whether an operator has ended it, and no worker has run it since. */
  ended: boolean
}

/** Notes which functions this process runs, so that others see that they are not gone. */
export async function noteAlive(
  redis: RedisStore,
  keys: Keys,
  consumers: readonly Pick<Consumer, 'definition'>[]
): Promise<void> {
  const members = [...new Set(consumers.map(({ definition }) => toMember(definition)))]
  for (let partition = 0; partition < keys.partitions && members.length > 0; partition++)
    await redis.run(client => noteAliveScript(client, [keys.alive(partition)], ['alive', ...members]))
}

/** Notes that an operator has ended functions. */
export async function noteEnded(
  redis: RedisStore,
  keys: Keys,
  partition: number,
  functions: KnownFunction[]
): Promise<void> {
  await redis.run(client =>
    noteAliveScript(client, [keys.alive(partition)], ['ended', ...functions.map(toMember)])
  )
}

/** Reads what waits for every function that was ever known; its cost does not depend on how much that is. */
export async function readFunctionStates(redis: RedisStore, keys: Keys): Promise<FunctionState[]> {
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) => readPartition(redis, keys, partition))
  )
  const total = new Map<string, FunctionState>()
  for (const own of partitions.flat()) {
    const key = `${own.name} ${own.stream}`
    const sum = total.get(key)
    if (!sum) {
      total.set(key, own)
      continue
    }
    sum.depth += own.depth
    sum.retrying += own.retrying
    sum.dead += own.dead
    sum.silent = Math.min(sum.silent ?? Infinity, own.silent ?? Infinity)
    sum.ended &&= own.ended
    if (sum.silent === Infinity) sum.silent = undefined
  }
  return [...total.values()]
}

function readPartition(redis: RedisStore, keys: Keys, partition: number): Promise<FunctionState[]> {
  return redis.run(async client => {
    const [known, unsettled, alive, [seconds]] = await Promise.all([
      readKnownFunctions(client, keys, partition),
      readUnsettledIn(client, keys, partition),
      client.hgetall(keys.alive(partition)),
      client.time()
    ])
    known.sort((a, b) => (toMember(a) < toMember(b) ? -1 : 1))
    return Promise.all(
      known.map(async (own, index) => {
        const isFirst = known.findIndex(({ name }) => name === own.name) === index
        const [depth, retrying, dead] = await Promise.all([
          LOGS.includes(own.stream)
            ? (unsettled.get(own.group) ?? 0)
            : client.xlen(keys.stream(own.stream, partition)),
          isFirst ? client.zcard(keys.retry(own.name, partition)) : 0,
          isFirst ? client.xlen(keys.dead(own.name, partition)) : 0
        ])
        const noted = alive[toMember(own)]
        const ended = noted === 'ended'
        const silent =
          noted === undefined || ended ? undefined : Math.max(0, Number(seconds) * 1000 - Number(noted))
        return { name: own.name, stream: own.stream, depth, retrying, dead, silent, ended }
      })
    )
  })
}
