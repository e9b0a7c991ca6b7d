import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { SERVICE_FUNCTIONS } from '../../src/orders/service-function.ts'
import { convertOriginalOrders } from '../../src/orders/tables/original-orders.ts'
import { trialWrite } from '../../src/orders/tables/trial-write.ts'
import { createMysqlStores, type FunctionMysqlStore, type MysqlStore } from '../../src/stores/mysql/store.ts'
import { createRedisStore } from '../../src/stores/redis/open-store.ts'
import type { RedisStore } from '../../src/stores/redis/store.ts'
import { createKeys, type Keys } from '../../src/streams/keys.ts'
import { createLayoutCheck } from '../../src/streams/operate/layout.ts'
import { createPartitionCheck } from '../../src/streams/operate/partition-count.ts'

declare module 'fastify' {
  interface FastifyInstance {
    stores: Stores
    keys: Keys
  }
}

/** The stores of this process, each guarded by its circuit breaker. Errors are classes of src/stores/errors.ts. */
export interface Stores {
  /** Redis, on one common connection to each master. */
  redis: RedisStore
  /** MySQL for functions, on connections of their own. */
  mysql: FunctionMysqlStore
  /** MySQL for orders. A function that used these connections would delay orders. */
  orders: MysqlStore
}

/** Opens both stores. An unavailable store does not stop the start: the service uses it as soon as it answers. */
async function stores(app: FastifyInstance) {
  const { config, log } = app
  const keys = createKeys(config.KEY_PREFIX, config.STREAM_PARTITIONS, config.REDIS_CLUSTER)
  const mysql = createMysqlStores(config, log, trialWrite, convertOriginalOrders(config.TAX_RATE))
  const checkLayout = createLayoutCheck(keys, mysql.general)
  const checkPartitions = createPartitionCheck(keys, SERVICE_FUNCTIONS)
  const redis = createRedisStore({
    config,
    log,
    keyOf: keys.accepted,
    partitions: Array.from({ length: keys.partitions }, (_, partition) => partition),
    checkedKey: keys.partitionCount(),
    check: async clientOf => {
      await checkLayout(clientOf)
      await checkPartitions(clientOf)
    }
  })
  app.decorate('keys', keys)
  app.decorate('stores', { redis, mysql: mysql.general, orders: mysql.reserved })
  app.addHook('onClose', async () => {
    await mysql.close()
    await redis.close()
  })
  // The check of Redis reads MySQL.
  await mysql.start()
  await redis.start()
}

export default fp(stores, { name: 'stores' })
