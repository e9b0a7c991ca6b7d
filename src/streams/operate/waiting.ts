import type { Redis } from 'ioredis'
import type { Keys } from '../keys.ts'
import { LOGS } from '../names.ts'
import { type KnownFunction, readKnownFunctions } from '../registry/known-functions.ts'
import { readUnsettledIn } from '../registry/unsettled.ts'

/** Returns the connection to the master of a key. */
export type ClientOf = (key: string) => Redis

/** Where to look for messages that wait. */
export interface Search {
  keys: Keys
  /** The functions of the service, which exist even while nothing of them is in Redis. */
  serviceFunctions: readonly KnownFunction[]
  /** Returns whether the messages of a function matter in a partition. */
  matters: (name: string, partition: number) => boolean
}

/**
 * Returns a text about the first partition from `first` to before `end` that still has messages, retries, dead letters or
 * unsettled events; undefined when none has.
 */
export async function firstWaiting(
  clientOf: ClientOf,
  search: Search,
  first: number,
  end: number
): Promise<string | undefined> {
  const partitions = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index)
  const waiting = await Promise.all(partitions.map(partition => waitingIn(clientOf, search, partition)))
  const found = waiting.findIndex(texts => texts.length > 0)
  return found < 0 ? undefined : `partition ${first + found} still has ${waiting[found]?.join(' and ')}`
}

/** Returns one text for each function that has something in a partition, and whose messages matter there. */
async function waitingIn(
  clientOf: ClientOf,
  { keys, serviceFunctions, matters }: Search,
  partition: number
): Promise<string[]> {
  const client = clientOf(keys.accepted(partition))
  const known = (await readKnownFunctions(client, keys, partition, serviceFunctions)).filter(({ name }) =>
    matters(name, partition)
  )
  const unsettled = await readUnsettledIn(client, keys, partition)
  const figures = await Promise.all(
    known.map(async ({ name, stream, group }: KnownFunction) => {
      const [messages, retries, dead] = await Promise.all([
        LOGS.includes(stream) ? (unsettled.get(group) ?? 0) : client.xlen(keys.stream(stream, partition)),
        client.zcard(keys.retry(name, partition)),
        client.xlen(keys.dead(name, partition))
      ])
      if (messages + retries + dead === 0) return []
      return [`${messages} messages, ${retries} retries and ${dead} dead letters of ${name}`]
    })
  )
  return figures.flat()
}
