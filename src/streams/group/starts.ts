import { StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { ResolvedFunction } from '../function.ts'
import type { Keys } from '../keys.ts'
import { readUnsettledIn } from '../registry/unsettled.ts'
import { makeGroup } from './member.ts'
import { isBefore } from './settlement.ts'
import { createStartRecords } from './start-records.ts'

type LogFunction = Pick<ResolvedFunction, 'stream' | 'group' | 'start'>

/** The errors of the partitions in which a function could not begin. */
type Failures = Map<number, unknown>

/** The position before all entries of a log. */
const BEGINNING = '0'

/**
 * The start positions of the functions on logs. All workers use the same positions, even after a crash at any moment:
 * the positions are recorded first, then the groups are created there, then the record states that the groups exist.
 */
export interface Starts {
  /**
   * Creates the missing groups of a function in every partition whose Redis is available. A new function starts where its
   * option `start` says. The missing groups of a function that had groups before start at the beginning of the log.
   * @throws {StoreUnavailable} when Redis is unavailable for this partition, or for any partition and the function may be
   * new. Also when a group is missing and MySQL is unavailable, because MySQL records whether the group existed.
   */
  begin: (definition: LogFunction, partition: number) => Promise<void>
  /**
   * Records groups that were found while MySQL was unavailable.
   * @returns false: there is never more work to do at once.
   */
  recordLate: () => Promise<false>
  /** Removes the record of a group whose function an operator ends. Returns whether there was one. */
  forget: (stream: string, group: string) => Promise<boolean>
  /** Restores a record that `forget` removed. */
  restore: (stream: string, group: string) => Promise<void>
}

/** Creates the start positions of functions on logs. Redis has the groups, and MySQL has the records. */
export function createStarts(redis: RedisStore, mysql: MysqlStore, keys: Keys): Starts {
  const records = createStartRecords(mysql)
  const unrecorded = new Map<string, LogFunction>()
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  const running = new Map<string, Promise<Failures>>()

  const recordLater = async (definition: LogFunction) => {
    try {
      await records.existed(definition.stream, definition.group)
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      unrecorded.set(definition.group, definition)
    }
  }

  const begin = async (definition: LogFunction): Promise<Failures> => {
    const { stream, group } = definition
    const failures: Failures = new Map()
    /** Runs work in the partitions that have not failed yet. Returns undefined for those that fail. */
    const inEach = <T>(work: (partition: number) => Promise<T>) =>
      Promise.all(
        partitions.map(async partition => {
          if (failures.has(partition)) return undefined
          return work(partition).catch((error: unknown) => {
            failures.set(partition, error)
            return undefined
          })
        })
      )
    const existing = await inEach(partition => hasGroup(redis, keys, partition, group))
    const isKnown = existing.some(Boolean)
    if (isKnown && existing.every((exists, partition) => exists || failures.has(partition))) {
      // The record has the positions of the groups that could not be looked at.
      if (failures.size === 0) await recordLater(definition)
      return failures
    }
    // The position of a new function is needed in every partition.
    const [failure] = failures.values()
    if (!isKnown && failure !== undefined) throw failure
    // An older version created groups without a record.
    const isNew = definition.start === 'new' && !isKnown
    const wanted = isNew
      ? await Promise.all(partitions.map(at => lastEntry(redis.masterOf(at), keys.stream(stream, at))))
      : null
    const agreed = await records.agree(stream, group, wanted)
    await inEach(async partition => {
      const key = keys.stream(stream, partition)
      const master = redis.masterOf(partition)
      await makeGroup(master, key, group, await usable(master, key, agreed?.[partition]))
    })
    if (agreed && failures.size === 0) await records.existed(stream, group)
    return failures
  }

  return {
    begin: async (definition, partition) => {
      const run = running.get(definition.group) ?? begin(definition)
      running.set(definition.group, run)
      const failures = await run.finally(() => running.delete(definition.group))
      if (failures.has(partition)) throw failures.get(partition)
    },
    recordLate: async () => {
      for (const [name, { stream, group }] of unrecorded) {
        await records.existed(stream, group)
        unrecorded.delete(name)
      }
      return false
    },
    forget: records.remove,
    restore: records.existed
  }
}

function hasGroup(redis: RedisStore, keys: Keys, partition: number, group: string): Promise<boolean> {
  return redis
    .masterOf(partition)
    .run(async client => (await readUnsettledIn(client, keys, partition)).has(group))
}

async function lastEntry(redis: RedisMaster, key: string): Promise<string> {
  const [entry] = await redis.run(client => client.xrevrange(key, '+', '-', 'COUNT', 1))
  return entry?.[0] ?? BEGINNING
}

/** Returns the recorded position; the beginning when the log has lost entries since. All its entries are new then. */
async function usable(redis: RedisMaster, key: string, position = BEGINNING): Promise<string> {
  if (position === BEGINNING) return position
  const last = await lastEntry(redis, key)
  return last === BEGINNING || isBefore(last, position) ? BEGINNING : position
}
