import { configuredAddresses } from './address.ts'
import { createClusterStore } from './cluster/store.ts'
import { createRedisMaster } from './master.ts'
import type { RedisStore, RedisStoreOptions } from './store.ts'

/** Opens the Redis of this process: a cluster, or one server that has every partition. */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  if (options.config.REDIS_CLUSTER) return createClusterStore(options)
  const { config, log, partitions, check } = options
  const [address = ''] = configuredAddresses(config)
  const master = createRedisMaster({ config, log, address, check: client => check(() => client) })
  const masters = [master]
  return {
    client: master.client,
    run: master.run,
    clientOf: () => master.client,
    masterOf: () => master,
    masters: () => masters,
    up: () => master.availability.up,
    unavailable: () => (master.availability.up ? [] : [...partitions]),
    check: master.availability.check,
    start: master.start,
    close: master.close
  }
}
