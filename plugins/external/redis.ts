import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createRedisStore, type RedisStore } from '../../src/stores/redis/store.ts'
import { createKeys, type Keys } from '../../src/streams/keys.ts'
import { createPartitionCheck } from '../../src/streams/operate/partition-count.ts'

declare module 'fastify' {
  interface FastifyInstance {
    redis: RedisStore
    keys: Keys
  }
}

/** The Redis of this process. One that is away does not stop the start: it is used from when it answers. */
async function redis(app: FastifyInstance) {
  const keys = createKeys(app.config.KEY_PREFIX, app.config.STREAM_PARTITIONS)
  const store = createRedisStore(app.config, app.log, createPartitionCheck(keys))
  app.decorate('keys', keys)
  app.decorate('redis', store)
  app.addHook('onClose', () => store.close())
  await store.start()
}

export default fp(redis, { name: 'redis' })
