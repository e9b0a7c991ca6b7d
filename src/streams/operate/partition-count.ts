import { loadScript } from '../../stores/redis/script.ts'
import type { Keys } from '../keys.ts'
import type { KnownFunction } from '../registry/known-functions.ts'
import { refuseMark } from './layout.ts'
import { type ClientOf, firstWaiting, type Search } from './waiting.ts'

const setPartitionCount = loadScript(new URL('set-partition-count.lua', import.meta.url))

/**
 * The time for which removed partitions are checked again (ms). A process with the old count may accept orders into
 * them until its next probe. A process probes every two seconds.
 */
const RECHECK_FOR = 15_000

/** The configured number of partitions differs from the number in Redis, and this process may not change the number. */
export class PartitionCountChanged extends Error {
  override name = 'PartitionCountChanged'
}

/**
 * Creates the check of the number of partitions. Each probe of Redis runs it. It compares the number in Redis with the
 * configured one.
 *
 * The number may change only while no function of the service has a message, a retry or a dead letter in any partition.
 * Otherwise their ids would be hashed to other partitions than those of their messages and documents. A partition
 * may be removed only when no function has anything in it: messages, retries, dead letters or unsettled events.
 *
 * A process may change the number only until its first successful check. Otherwise two processes with different numbers
 * would overwrite each other's number again and again, and each would accept orders that the other does not find. When
 * Redis has no number, as after a flush, every process may set it.
 *
 * The check throws {PartitionCountChanged} when this process must not use this Redis now.
 */
export function createPartitionCheck(
  keys: Keys,
  serviceFunctions: readonly KnownFunction[]
): (clientOf: ClientOf) => Promise<void> {
  const search: Search = {
    keys,
    serviceFunctions,
    // Only the ids of orders decide their partition, but nobody would read what is left in a removed partition.
    matters: (name, partition) =>
      partition >= keys.partitions || serviceFunctions.some(own => own.name === name)
  }
  let agreed = false
  let lowered: { from: string; until: number } | undefined

  const change = async (clientOf: ClientOf, before: string | null) => {
    const waits = await firstWaiting(clientOf, search, 0, Number(before))
    if (waits) throw stillNeeded(keys, before as string, waits)
    // Records this before it sets the count, since the reply may be lost.
    if (Number(before) > keys.partitions)
      lowered = { from: before as string, until: performance.now() + RECHECK_FOR }
    const now = await setPartitionCount(
      clientOf(keys.partitionCount()),
      [keys.partitionCount()],
      [before ?? '', keys.partitions]
    )
    if (Number(now) !== keys.partitions) throw changedBy(keys, now as string)
  }

  /**
   * Restores the old count when a removed partition has received a message after the change. No worker would process
   * the message.
   */
  const checkAgain = async (clientOf: ClientOf, { from, until }: { from: string; until: number }) => {
    if (performance.now() > until) lowered = undefined
    const waits = await firstWaiting(clientOf, search, keys.partitions, Number(from))
    if (!waits) return
    await setPartitionCount(clientOf(keys.partitionCount()), [keys.partitionCount()], [keys.partitions, from])
    lowered = undefined
    agreed = false
    throw stillNeeded(keys, from, waits)
  }

  return async clientOf => {
    // Reads first, and writes only a change: every probe runs this, and a full or read-only server refuses a write.
    const before = await clientOf(keys.partitionCount()).get(keys.partitionCount())
    // A release may have begun since the check of the layout.
    refuseMark(keys, before)
    if (Number(before) !== keys.partitions) {
      if (agreed && before !== null) throw changedBy(keys, before)
      await change(clientOf, before)
    } else if (lowered) await checkAgain(clientOf, lowered)
    agreed = true
  }
}

function stillNeeded({ partitions }: Keys, count: string, waits: string): PartitionCountChanged {
  return new PartitionCountChanged(
    `STREAM_PARTITIONS is ${partitions}, but it was ${count}, and ${waits}. ` +
      `Start with STREAM_PARTITIONS=${count} until nothing is left, then change it.`
  )
}

function changedBy({ partitions }: Keys, count: string): PartitionCountChanged {
  return new PartitionCountChanged(
    `STREAM_PARTITIONS is ${partitions}, but a process with STREAM_PARTITIONS=${count} has started since. ` +
      'Start all processes with the same.'
  )
}
