import type { DeadLetter } from '../../../schema/http/dead-letter.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Entry } from '../group/delivery.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES, KEPT_BYTES, LARGEST_MESSAGE, LISTED_BYTES } from '../limits.ts'
import { ORDER_FUNCTION } from '../names.ts'
import { isCorrupt, toLetter } from './dead-letter.ts'

const redriveScript = loadScript(new URL('redrive.lua', import.meta.url))
const discardScript = loadScript(new URL('discard.lua', import.meta.url))
const lettersScript = loadScript(new URL('list.lua', import.meta.url))
const lastLetterScript = loadScript(new URL('last.lua', import.meta.url))

/** Discarded letters that are kept, for each function and partition. */
const KEEP_DISCARDED = 10_000

/** Most letters that one script call moves. */
const CHUNK = 500

/** Bytes of letters that one page reads, some at a time; with larger letters a page has fewer of them. */
const PAGE_BYTES = 16 * CALL_BYTES

/** Letters that cannot be redriven; the message has their ids, and why. */
export class LetterRefused extends Error {
  override name = 'LetterRefused'

  constructor(name: string, sent: number, refused: string[]) {
    const more = refused.length > 10 ? ` and ${refused.length - 10} more` : ''
    super(
      `${sent} letters were sent back to ${name}. These cannot be: ${refused.slice(0, 10).join(', ')}${more}. ` +
        `They do not have the whole message, or it is larger than ${LARGEST_MESSAGE} bytes.`
    )
  }
}

/** What an operator does with messages that functions have given up. Ids are `<partition>:<entry id>`. */
export interface DeadLetters {
  /**
   * The oldest letters of a function behind `after`, with the beginning of their data, and where to go on; '' when that
   * was all. Large letters make a page shorter than `limit`.
   */
  list: (name: string, after: string, limit: number) => Promise<{ letters: DeadLetter[]; next: string }>
  /** One letter, with all of its data. */
  show: (name: string, id: string) => Promise<DeadLetter | undefined>
  /**
   * Sends letters back to their function, `rate` of them a second; gives how many. Without `ids`, all that are there when
   * it begins: one that comes back meanwhile stays.
   * @throws {LetterRefused} when some of `ids` cannot be sent back, or none of all; the others have been sent.
   */
  redrive: (name: string, ids: string[] | undefined, rate: number, onMissing?: OnMissing) => Promise<number>
  /** Discards letters; the reason is kept with them. Gives how many. */
  discard: (name: string, ids: string[], reason: string, onMissing?: OnMissing) => Promise<number>
}

/** Called with those of the ids that no letter has, if there are any. */
type OnMissing = (ids: string[]) => void

/** Part of the letters of a function, those of one partition. */
interface Ids {
  partition: number
  own: string[]
}

/** `onCorrupt` is called for each letter that is read and has a field that cannot be. */
export function createDeadLetters(redis: RedisStore, keys: Keys, onCorrupt: () => void): DeadLetters {
  const read = (name: string, [id, fields]: Entry, partition: number, bytes?: number) => {
    if (isCorrupt(fields)) onCorrupt()
    return toLetter(name, `${partition}:${id}`, fields, bytes)
  }
  return {
    list: async (name, after, limit) => {
      const { found, next } = await readPage(redis, keys, name, after, limit)
      return {
        letters: found.map(({ partition, id, fields, bytes }) => read(name, [id, fields], partition, bytes)),
        next
      }
    },
    show: async (name, id) => {
      const [partition, entry] = parseId(id)
      if (partition >= keys.partitions) return undefined
      const [found] = await redis.run(client => client.xrange(keys.dead(name, partition), entry, entry))
      return found && read(name, found, partition)
    },
    redrive: async (name, ids, rate, onMissing = () => {}) => {
      const pause = 1000 / rate
      let sent = 0
      const refused: string[] = []
      const missing = new Set(ids)
      for await (const { partition, own } of ids ? chunks(ids, keys) : allIds(redis, keys, name)) {
        await inSteps(own, async rest => {
          const reply = await redis.run(client =>
            redriveScript(
              client,
              [
                keys.dead(name, partition),
                keys.retry(name, partition),
                keys.retrying(name, partition),
                keys.settled(partition)
              ],
              [
                sent * pause,
                pause,
                name === ORDER_FUNCTION ? 'count' : '',
                CALL_BYTES,
                LARGEST_MESSAGE,
                ...rest
              ]
            )
          )
          const [looked, moved, left] = reply as [number, string[], string[]]
          sent += moved.length
          refused.push(...left.map(entry => `${partition}:${entry}`))
          for (const entry of [...moved, ...left]) missing.delete(`${partition}:${entry}`)
          return looked
        })
      }
      if (missing.size > 0) onMissing([...missing])
      if (refused.length > 0 && (ids || sent === 0)) throw new LetterRefused(name, sent, refused)
      return sent
    },
    discard: (...given) => discardLetters(redis, keys, ...given)
  }
}

async function discardLetters(
  redis: RedisStore,
  keys: Keys,
  ...[name, ids, reason, onMissing = () => {}]: Parameters<DeadLetters['discard']>
): Promise<number> {
  let count = 0
  const missing = new Set(ids)
  for (const { partition, own } of chunks(ids, keys)) {
    await inSteps(own, async rest => {
      const reply = await redis.run(client =>
        discardScript(
          client,
          [keys.dead(name, partition), keys.discarded(name, partition)],
          [reason, KEEP_DISCARDED, CALL_BYTES, KEPT_BYTES, ...rest]
        )
      )
      const [looked, gone] = reply as [number, string[]]
      count += gone.length
      for (const entry of gone) missing.delete(`${partition}:${entry}`)
      return looked
    })
  }
  if (missing.size > 0) onMissing([...missing])
  return count
}

/** Does `step` with what is left of a list, until nothing is; it says how many of them it has done. */
async function inSteps(list: string[], step: (rest: string[]) => Promise<number>): Promise<void> {
  for (let first = 0; first < list.length; ) first += await step(list.slice(first))
}

interface Found {
  partition: number
  id: string
  fields: string[]
  /** Of its data, of which only the beginning was read. */
  bytes: number
}

/** Letters of one partition from one id to another, as many as one call may read. */
async function readSome(
  redis: RedisStore,
  key: string,
  [start, end]: [string, string],
  limit: number,
  dataBytes: number
) {
  const reply = await redis.run(client =>
    lettersScript(client, [key], [start, end, limit, CALL_BYTES, dataBytes])
  )
  const [letters, read, more] = reply as [[...Entry, bytes: number][], number, number]
  return { letters, read, more: more === 1 }
}

async function readPage(redis: RedisStore, keys: Keys, name: string, after: string, limit: number) {
  const [from, id] = after === '' ? [0, ''] : parseId(after)
  const found: Found[] = []
  const page = (next: boolean) => {
    const last = found.at(-1)
    return { found, next: next && last ? `${last.partition}:${last.id}` : '' }
  }
  let bytes = 0
  for (let partition = from; partition < keys.partitions; partition++) {
    const key = keys.dead(name, partition)
    let start = partition === from && id !== '' ? `(${id}` : '-'
    for (let more = true; more; ) {
      if (found.length >= limit || bytes >= PAGE_BYTES) return page(true)
      const some = await readSome(redis, key, [start, '+'], limit - found.length, LISTED_BYTES)
      found.push(...some.letters.map(([id, fields, bytes]) => ({ partition, id, fields, bytes })))
      bytes += some.read
      more = some.more
      start = `(${some.letters.at(-1)?.[0]}`
    }
  }
  return page(found.length >= limit)
}

/** The ids of all letters that a function has now, some at a time: those that it gets meanwhile are newer. */
async function* allIds(redis: RedisStore, keys: Keys, name: string): AsyncGenerator<Ids> {
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  const lasts = await Promise.all(
    partitions.map(partition =>
      redis.run(client => lastLetterScript(client, [keys.dead(name, partition)], []))
    )
  )
  for (const [partition, last] of lasts.entries()) {
    let start = '-'
    for (let more = last !== null; more; ) {
      const range: [string, string] = [start, last as string]
      const some = await readSome(redis, keys.dead(name, partition), range, CHUNK, 0)
      const own = some.letters.map(([id]) => id)
      if (own.length > 0) yield { partition, own }
      more = some.more
      start = `(${own.at(-1)}`
    }
  }
}

/** Ids as scripts take them: entries of one partition, not too many at once. */
function chunks(ids: string[], keys: Keys): Ids[] {
  return [...Map.groupBy(ids, id => parseId(id)[0])]
    .filter(([partition]) => partition < keys.partitions)
    .flatMap(([partition, own]) =>
      Array.from({ length: Math.ceil(own.length / CHUNK) }, (_, index) => ({
        partition,
        own: own.slice(index * CHUNK, (index + 1) * CHUNK).map(id => parseId(id)[1])
      }))
    )
}

function parseId(id: string): [partition: number, entry: string] {
  const [partition = '', entry = ''] = id.split(':', 2)
  return [Number(partition), entry]
}
