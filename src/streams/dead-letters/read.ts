import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES, LISTED_BYTES } from '../limits.ts'
import { CHUNK, type Chunk, parseId } from './ids.ts'

const listScript = loadScript(new URL('list.lua', import.meta.url))
const lastScript = loadScript(new URL('last.lua', import.meta.url))

/** A page ends when so many bytes of dead letters were read. This limits the memory that a page uses. */
const PAGE_BYTES = 16 * CALL_BYTES

/** An entry of the stream of dead letters, with the beginning of its data. */
export interface StoredDeadLetter {
  partition: number
  id: string
  fields: string[]
  /** Size of the whole data. */
  bytes: number
}

/**
 * Reads the oldest dead letters of a function after the id `after` ('' for the first ones), over all partitions. A page
 * of large dead letters is shorter than `limit`. `next` is '' on the last page.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function readPage(
  redis: RedisStore,
  keys: Keys,
  name: string,
  after: string,
  limit: number
): Promise<{ found: StoredDeadLetter[]; next: string }> {
  const [from, id] = after === '' ? [0, ''] : parseId(after)
  const found: StoredDeadLetter[] = []
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
      const some = await readSome(
        redis.masterOf(partition),
        key,
        [start, '+'],
        limit - found.length,
        LISTED_BYTES
      )
      found.push(...some.entries.map(([id, fields, bytes]) => ({ partition, id, fields, bytes })))
      bytes += some.read
      more = some.more
      start = `(${some.entries.at(-1)?.[0]}`
    }
  }
  return page(found.length >= limit)
}

/**
 * Reads the ids of all dead letters that a function has now, chunk by chunk. Leaves out dead letters that are added
 * later.
 * @throws {StoreUnavailable} while Redis is unavailable.
 */
export async function* readAllIds(redis: RedisStore, keys: Keys, name: string): AsyncGenerator<Chunk> {
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  const lasts = await Promise.all(
    partitions.map(partition =>
      redis.masterOf(partition).run(client => lastScript(client, [keys.dead(name, partition)], []))
    )
  )
  for (const [partition, last] of lasts.entries()) {
    let start = '-'
    for (let more = last !== null; more; ) {
      const range: [string, string] = [start, last as string]
      const some = await readSome(redis.masterOf(partition), keys.dead(name, partition), range, CHUNK, 0)
      const entries = some.entries.map(([id]) => id)
      if (entries.length > 0) yield { partition, entries }
      more = some.more
      start = `(${entries.at(-1)}`
    }
  }
}

/**
 * Reads the entries from `start` to `end` of one partition, as many as one call may read. `more` shows that some
 * remain.
 */
async function readSome(
  redis: RedisMaster,
  key: string,
  [start, end]: [string, string],
  limit: number,
  dataBytes: number
) {
  const reply = await redis.run(client =>
    listScript(client, [key], [start, end, limit, CALL_BYTES, dataBytes])
  )
  const [entries, read, more] = reply as [[id: string, fields: string[], bytes: number][], number, number]
  return { entries, read, more: more === 1 }
}
