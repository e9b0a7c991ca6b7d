import type { RedisMaster } from '../../src/stores/redis/master.ts'
import type { RedisStore } from '../../src/stores/redis/store.ts'

/** Returns a store whose masters call `before` before they run commands. */
export function withBefore(redis: RedisStore, before: () => unknown): RedisStore {
  const wrap = (master: RedisMaster): RedisMaster => ({
    ...master,
    run: async work => {
      await before()
      return master.run(work)
    }
  })
  return { ...redis, masterOf: partition => wrap(redis.masterOf(partition)) }
}
