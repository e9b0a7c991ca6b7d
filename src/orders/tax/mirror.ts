import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import { indexed, type RateTable } from './rate-table.ts'

const writeScript = loadScript(new URL('write-mirror.lua', import.meta.url))

/**
 * A copy of the tax rates in Redis, for an api that starts while MySQL is unavailable. Every function throws
 * {StoreUnavailable} when Redis is unavailable.
 */
export interface Mirror {
  /** Reads the stamp of the mirror. Returns '' when there is no mirror. */
  stamp: () => Promise<string>
  /** Reads the mirror. Returns undefined when there is no mirror. */
  read: () => Promise<RateTable | undefined>
  /** Writes the mirror if its stamp is still `seen`. */
  write: (seen: string, table: RateTable) => Promise<void>
}

/** Creates the access to the mirror, which is a hash. */
export function createMirror(redis: RedisMaster, key: string): Mirror {
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
