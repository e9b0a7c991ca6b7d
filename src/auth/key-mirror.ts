import type { RedisStore } from '../stores/redis/store.ts'
import { COMMON } from '../streams/common.ts'
import type { Keys } from '../streams/keys.ts'
import { type KeyRecord, parseRecord, renderRecord } from './key-record.ts'

/** How long the mirror counts as complete after all keys were copied into it (ms). */
const WHOLE = 60_000

/** The records and the marks of some keys in Redis. */
export interface Mirrored {
  /** The records, with `revoked_at` from their mark. */
  records: Map<string, KeyRecord>
  /** The text of each record. */
  texts: Map<string, string>
  /** The times at which keys were revoked. A key without a record may have a mark. */
  revoked: Map<string, string>
  /** Whether the mirror has every key. */
  whole: boolean
}

/** The copy of the keys in Redis. Each call throws {StoreUnavailable} while Redis is unavailable. */
export interface KeyMirror {
  any: () => Promise<boolean>
  read: (ids: string[]) => Promise<Mirrored>
  write: (records: KeyRecord[]) => Promise<void>
  /** Marks keys as revoked. Marks are only added, so that no older copy of a key can undo one. */
  revoke: (keys: { id: string; at: string }[]) => Promise<void>
  /** Removes keys that MySQL does not have. */
  forget: (ids: string[]) => Promise<void>
  /** Records that the mirror has every key now. */
  complete: () => Promise<void>
  /** Returns for how long the mirror still counts as complete (ms); 0 or less when it does not. */
  wholeFor: () => Promise<number>
}

const markOf = (id: string) => `${id}:revoked`

/** Creates the access to the copy of the keys in Redis. */
export function createKeyMirror(redis: RedisStore, keys: Keys): KeyMirror {
  const hash = keys.apiKeys()
  const whole = keys.apiKeysWhole()
  return {
    any: async () => (await redis.masterOf(COMMON).run(client => client.exists(hash))) === 1,
    read: async ids => {
      const fields = ids.flatMap(id => [id, markOf(id)])
      const [values, marked] = await redis
        .masterOf(COMMON)
        .run(client => Promise.all([client.hmget(hash, ...fields), client.exists(whole)]))
      const found: Mirrored = {
        records: new Map(),
        texts: new Map(),
        revoked: new Map(),
        whole: marked === 1
      }
      ids.forEach((id, index) => {
        const text = values[2 * index]
        const at = values[2 * index + 1] ?? null
        if (at !== null) found.revoked.set(id, at)
        if (typeof text !== 'string') return
        const record = parseRecord(text, at)
        if (record?.id !== id) return
        found.records.set(id, record)
        found.texts.set(id, text)
      })
      return found
    },
    write: async records => {
      if (records.length === 0) return
      const fields = records.flatMap(record => [record.id, renderRecord(record)])
      await redis.masterOf(COMMON).run(client => client.hset(hash, ...fields))
    },
    revoke: async revoked => {
      if (revoked.length === 0) return
      await redis
        .masterOf(COMMON)
        .run(client => Promise.all(revoked.map(({ id, at }) => client.hsetnx(hash, markOf(id), at))))
    },
    forget: async ids => {
      if (ids.length === 0) return
      await redis.masterOf(COMMON).run(client => client.hdel(hash, ...ids))
    },
    complete: async () => {
      await redis.masterOf(COMMON).run(client => client.set(whole, '1', 'PX', WHOLE))
    },
    wholeFor: () => redis.masterOf(COMMON).run(client => client.pttl(whole))
  }
}
