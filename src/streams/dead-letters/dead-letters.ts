import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import type { ServiceFunction } from '../registry/service-function.ts'
import { type DeadLetter, decodeDeadLetter } from './dead-letter.ts'
import { discardDeadLetters } from './discard.ts'
import { parseId } from './ids.ts'
import { readPage } from './read.ts'
import { type DeadLetterTally, redriveDeadLetters } from './redrive.ts'

/** A page of dead letters, oldest first. */
export interface DeadLetterPage {
  deadLetters: DeadLetter[]
  /** The id to pass as `after` for the next page; '' on the last page. */
  next: string
}

/**
 * The operations on messages that functions have dead-lettered. Ids are `<partition>:<entry id>`. Every operation
 * throws {StoreUnavailable} while Redis is unavailable.
 */
export interface DeadLetters {
  /**
   * Returns the oldest dead letters of a function after the id `after`, with the beginning of their data. A page of
   * large dead letters is shorter than `limit`.
   */
  list: (name: string, after: string, limit: number) => Promise<DeadLetterPage>
  /** Returns one dead letter with all of its data; undefined when it does not exist. */
  show: (name: string, id: string) => Promise<DeadLetter | undefined>
  /**
   * Sends dead letters back to their function, `rate` per second. Without `ids`, sends all dead letters that exist when
   * the redrive begins. A message that fails again during the redrive stays a dead letter.
   * @throws {RedriveRefused} when some of `ids` cannot be sent back. The others have been sent. Without `ids`, only
   * when some cannot be sent back and none was sent.
   */
  redrive: (
    name: string,
    ids: string[] | undefined,
    rate: number,
    requestId?: string
  ) => Promise<DeadLetterTally>
  /** Discards dead letters. Keeps the newest discarded ones, with the reason. */
  discard: (name: string, ids: string[], reason: string) => Promise<DeadLetterTally>
}

/** The dependencies of the operations on dead letters. */
export interface DeadLettersOptions {
  redis: RedisStore
  keys: Keys
  serviceFunctions: readonly ServiceFunction[]
  /** Called for each corrupt dead letter that is read. */
  onCorrupt: () => void
}

/** Creates the operations on dead letters. */
export function createDeadLetters({
  redis,
  keys,
  serviceFunctions,
  onCorrupt
}: DeadLettersOptions): DeadLetters {
  const decode: typeof decodeDeadLetter = (...entry) => {
    const deadLetter = decodeDeadLetter(...entry)
    if (deadLetter.corrupt) onCorrupt()
    return deadLetter
  }
  return {
    list: async (name, after, limit) => {
      const { found, next } = await readPage(redis, keys, name, after, limit)
      const deadLetters = found.map(({ partition, id, fields, bytes }) =>
        decode(name, `${partition}:${id}`, fields, bytes)
      )
      return { deadLetters, next }
    },
    show: async (name, id) => {
      const [partition, entry] = parseId(id)
      if (partition >= keys.partitions) return undefined
      const [found] = await redis
        .masterOf(partition)
        .run(client => client.xrange(keys.dead(name, partition), entry, entry))
      return found && decode(name, id, found[1])
    },
    redrive: (name, ids, rate, requestId = '') => {
      const counters = serviceFunctions.find(own => own.name === name)?.redriveCounters
      return redriveDeadLetters(redis, keys, { name, ids, rate, counters, requestId })
    },
    discard: (name, ids, reason) => discardDeadLetters(redis, keys, name, ids, reason)
  }
}
