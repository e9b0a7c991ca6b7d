import type { DeadLetter } from '../../schema/dead-letter.ts'
import type { RedisStore } from '../stores/redis.ts'
import { loadScript } from '../stores/script.ts'
import { type Entry, fieldOf } from './delivery.ts'
import type { Keys } from './keys.ts'
import { ORDER_FUNCTION } from './streams.ts'

const redriveScript = loadScript(new URL('redrive.lua', import.meta.url))
const discardScript = loadScript(new URL('discard.lua', import.meta.url))

/** Discarded letters that are kept, for each function and partition. */
const KEEP_DISCARDED = 10_000

/** Most letters that one script call moves. */
const CHUNK = 500

/** What an operator does with messages that functions have given up. Ids are `<partition>:<entry id>`. */
export interface DeadLetters {
  /** The oldest letters of a function behind `after`, and where to go on; '' when that was all. */
  list: (name: string, after: string, limit: number) => Promise<{ letters: DeadLetter[]; next: string }>
  show: (name: string, id: string) => Promise<DeadLetter | undefined>
  /** Sends letters back to their function, `rate` of them a second; gives how many. All of them without `ids`. */
  redrive: (name: string, ids: string[] | undefined, rate: number) => Promise<number>
  /** Discards letters; the reason is kept with them. Gives how many. */
  discard: (name: string, ids: string[], reason: string) => Promise<number>
}

export function createDeadLetters(redis: RedisStore, keys: Keys): DeadLetters {
  const list: DeadLetters['list'] = (name, after, limit) => listLetters(redis, keys, name, after, limit)
  return {
    list,
    show: async (name, id) => {
      const [partition, entry] = parseId(id)
      if (partition >= keys.partitions) return undefined
      const [found] = await redis.run(client => client.xrange(keys.dead(name, partition), entry, entry))
      return found && toLetter(name, partition, found)
    },
    redrive: async (name, ids, rate) => {
      const pause = 1000 / rate
      let sent = 0
      const send = (partition: number, own: string[]) =>
        redis.run(client =>
          redriveScript(
            client,
            [
              keys.dead(name, partition),
              keys.retry(name, partition),
              keys.retrying(name, partition),
              keys.settled(partition)
            ],
            [sent * pause, pause, name === ORDER_FUNCTION ? 'count' : '', ...own]
          )
        )
      for await (const page of ids ? [ids] : pages(list, name)) {
        for (const { partition, own } of chunks(page, keys))
          sent += ((await send(partition, own)) as string[]).length
      }
      return sent
    },
    discard: async (name, ids, reason) => {
      let count = 0
      for (const { partition, own } of chunks(ids, keys)) {
        const gone = await redis.run(client =>
          discardScript(
            client,
            [keys.dead(name, partition), keys.discarded(name, partition)],
            [reason, KEEP_DISCARDED, ...own]
          )
        )
        count += (gone as string[]).length
      }
      return count
    }
  }
}

async function listLetters(redis: RedisStore, keys: Keys, name: string, after: string, limit: number) {
  const [from, id] = after === '' ? [0, ''] : parseId(after)
  const letters: DeadLetter[] = []
  for (let partition = from; partition < keys.partitions && letters.length < limit; partition++) {
    const start = partition === from && id !== '' ? `(${id}` : '-'
    const entries = await redis.run(client =>
      client.xrange(keys.dead(name, partition), start, '+', 'COUNT', limit - letters.length)
    )
    letters.push(...entries.map(entry => toLetter(name, partition, entry)))
  }
  return { letters, next: letters.length === limit ? (letters.at(-1)?.id ?? '') : '' }
}

/** The ids of all letters of a function, a page at a time. */
async function* pages(list: DeadLetters['list'], name: string): AsyncGenerator<string[]> {
  for (let after = ''; ; ) {
    const { letters, next } = await list(name, after, CHUNK)
    if (letters.length > 0) yield letters.map(({ id }) => id)
    if (next === '') return
    after = next
  }
}

/** Ids as scripts take them: entries of one partition, not too many at once. */
function chunks(ids: string[], keys: Keys): { partition: number; own: string[] }[] {
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

function toLetter(name: string, partition: number, [id, list]: Entry): DeadLetter {
  const field = (key: string) => fieldOf(list, key)
  const time = (key: string) => new Date(Number(field(key))).toISOString()
  return {
    id: `${partition}:${id}`,
    function: name,
    message_id: field('id'),
    request_id: field('request_id'),
    code: field('code'),
    cause: { class: field('error'), message: field('message') },
    attempts: Number(field('attempts')),
    first_at: time('first_at'),
    last_at: time('last_at'),
    data: field('data')
  }
}
