import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { LOGS } from '../names.ts'
import { ENDED } from './ended-functions.ts'
import { type KnownFunction, readKnownFunctions, toMember } from './known-functions.ts'
import { readUnsettledIn } from './unsettled.ts'

/** The work that waits for a function on a stream, over all partitions. */
export interface FunctionState {
  name: string
  stream: string
  /** Messages that are not settled. Each function that has ever consumed a queue counts all messages of the queue. */
  depth: number
  /** Messages of the function that wait for another attempt, on its first stream; 0 on its other streams. */
  retrying: number
  /** Dead letters of the function, on its first stream; 0 on its other streams. */
  dead: number
  /** True when an operator has ended the function and no worker has run it since. */
  ended: boolean
}

/**
 * Reads the work that waits for every known function. The cost does not depend on the number of messages.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function readFunctionStates(
  redis: RedisStore,
  keys: Keys,
  serviceFunctions: readonly KnownFunction[]
): Promise<FunctionState[]> {
  const partitions = await Promise.all(
    Array.from({ length: keys.partitions }, (_, partition) =>
      readPartition(redis, keys, partition, serviceFunctions)
    )
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
    sum.ended &&= own.ended
  }
  return [...total.values()]
}

function readPartition(
  redis: RedisStore,
  keys: Keys,
  partition: number,
  serviceFunctions: readonly KnownFunction[]
): Promise<FunctionState[]> {
  return redis.masterOf(partition).run(async client => {
    const [known, unsettled, marks] = await Promise.all([
      readKnownFunctions(client, keys, partition, serviceFunctions),
      readUnsettledIn(client, keys, partition),
      client.hgetall(keys.alive(partition))
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
        const ended = marks[toMember(own)] === ENDED
        return { name: own.name, stream: own.stream, depth, retrying, dead, ended }
      })
    )
  })
}
