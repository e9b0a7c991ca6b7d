import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import { indexed, type RateTable } from './rate-table.ts'

const writeScript = loadScript(new URL('write-mirror.lua', import.meta.url))

/** The rates in Redis, for an api that starts while MySQL is unavailable. All throw {StoreUnavailable}. */
export interface Mirror {
  /** Reads the stamp of the mirror; '' when there is none. */
  stamp: () => Promise<string>
  /** Reads the mirror; undefined when there is none. */
  read: () => Promise<RateTable | undefined>
  /** Writes the mirror if its stamp is still the one that was `seen`. */
  write: (seen: string, table: RateTable) => Promise<void>
}

/** Creates the mirror in a hash. */
export function createMirror(redis: RedisStore, key: string): Mirror {
  return {
    stamp: async () => (await redis.run(client => client.hget(key, 'stamp'))) ?? '',
    read: async () => {
      const [stamp, rates] = await redis.run(client => client.hmget(key, 'stamp', 'rates'))
      return stamp && rates ? indexed(stamp, JSON.parse(rates)) : undefined
    },
    write: async (seen, { stamp, rates }) => {
      await redis.run(client => writeScript(client, [key], [seen, stamp, JSON.stringify(rates)]))
    }
  }
}
