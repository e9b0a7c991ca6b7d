import type { Redis } from 'ioredis'
import { loadScript } from '../stores/script.ts'
import type { Keys } from './keys.ts'
import { type KnownFunction, readKnownFunctions } from './known-functions.ts'
import { LOGS, ORDER_FUNCTION } from './streams.ts'
import { readUnsettledIn } from './unsettled.ts'

const setPartitionCount = loadScript(new URL('set-partition-count.lua', import.meta.url))

/** The configured count differs from the one that is in use, and what that has spread is still needed. */
export class PartitionCountChanged extends Error {
  override name = 'PartitionCountChanged'
}

/**
 * Compares the configured number of partitions with the one kept in Redis. It may change only while no partition has
 * orders that wait, are tried again or are dead letters: their ids would move to other slots, away from their messages
 * and documents. A partition may go only when no function has anything in it: messages, retries, dead letters, or events
 * that it has not settled.
 * @throws {PartitionCountChanged} when it may not change now.
 */
export async function checkPartitionCount(client: Redis, keys: Keys): Promise<void> {
  // Read first: this runs with every probe, and a full or read-only server refuses a write that it need not see.
  const before = await client.get(keys.partitionCount())
  if (Number(before) === keys.partitions) return
  const partitions = Array.from({ length: Number(before) }, (_, partition) => partition)
  const waiting = await Promise.all(partitions.map(partition => waitingIn(client, keys, partition)))
  const first = waiting.findIndex(texts => texts.length > 0)
  if (first >= 0) {
    throw new PartitionCountChanged(
      `STREAM_PARTITIONS is ${keys.partitions}, but it was ${before}, and partition ${first} still has ` +
        `${waiting[first]?.join(' and ')}. Start with STREAM_PARTITIONS=${before} until nothing is left, then change it.`
    )
  }
  const now = await setPartitionCount(client, [keys.partitionCount()], [before ?? '', keys.partitions])
  if (Number(now) !== keys.partitions) {
    throw new PartitionCountChanged(
      `STREAM_PARTITIONS is ${keys.partitions}, but a process with STREAM_PARTITIONS=${now} has just started. ` +
        'Give all processes the same.'
    )
  }
}

/** What keeps a partition from being spread anew, or from going, in words; one text for each function. */
async function waitingIn(client: Redis, keys: Keys, partition: number): Promise<string[]> {
  const goes = partition >= keys.partitions
  const known = (await readKnownFunctions(client, keys, partition)).filter(
    ({ name }) => goes || name === ORDER_FUNCTION
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
