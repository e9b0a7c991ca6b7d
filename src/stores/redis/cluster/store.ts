import type { Redis } from 'ioredis'
import { StoreUnavailable } from '../../errors.ts'
import { configuredAddresses } from '../address.ts'
import { createClusterClient } from '../connection.ts'
import type { RedisMaster } from '../master.ts'
import type { RedisStore, RedisStoreOptions } from '../store.ts'
import { createMasterCheck } from './master-check.ts'
import { createMasters } from './masters.ts'
import { createPartitionMaster } from './partition-master.ts'
import { slotOf } from './slot.ts'
import { createTopology } from './topology.ts'

/**
 * Opens a Redis Cluster: one connection and one circuit breaker for each master that has a partition. A partition
 * follows its hash slot to another master, after a failover and after a reshard.
 */
export function createClusterStore(options: RedisStoreOptions): RedisStore {
  const { config, log, keyOf, partitions, checkedKey, check } = options
  const seeds = configuredAddresses(config)
  const masters = createMasters({ config, log, check: (client, address) => checkMaster(client, address) })
  const topology = createTopology({
    seeds,
    ask: masters.ask,
    isUp: address => masters.get(address)?.availability.up ?? false,
    onChange: masters.keep
  })
  const ownerOf = (slot: number) => masters.get(topology.ownerOf(slot) ?? '')
  const slots = partitions.map(partition => slotOf(keyOf(partition)))
  const checkedSlot = slotOf(checkedKey)
  const clientOf = (key: string) => {
    const slot = slotOf(key)
    topology.use(slot)
    const master = ownerOf(slot)
    if (!master) throw new StoreUnavailable('redis', new Error('the master of a key is unknown'))
    return master.client
  }

  const checkMaster = createMasterCheck({
    check: () => check(clientOf),
    isChecked: address => topology.ownerOf(checkedSlot) === address,
    keyOn: address => {
      const own = partitions.find((_, index) => topology.ownerOf(slots[index] as number) === address)
      return own === undefined ? undefined : keyOf(own)
    }
  })

  const followed = new Map<number, RedisMaster>()
  const follow = (partition: number) => {
    const slot = slotOf(keyOf(partition))
    topology.use(slot)
    const master = createPartitionMaster({
      owner: () => ownerOf(slot),
      changes: topology.changes,
      moved: error => topology.moved(error.slot, error.address)
    })
    followed.set(partition, master)
    return master
  }
  const client = createClusterClient(config, seeds)
  client.on('error', () => {})
  const unavailable = () => partitions.filter((_, index) => !ownerOf(slots[index] as number)?.availability.up)
  const up = () => unavailable().length === 0 && masters.all().every(({ availability }) => availability.up)
  return {
    client: client as unknown as Redis,
    run: work => work(client as unknown as Redis),
    clientOf,
    masterOf: partition => followed.get(partition) ?? follow(partition),
    masters: masters.all,
    up,
    unavailable,
    check: async () => {
      await Promise.all(masters.all().map(({ availability }) => availability.check()))
      return up()
    },
    start: async () => {
      client.connect().catch(() => {})
      for (const slot of [...slots, checkedSlot]) topology.use(slot)
      await topology.start()
      await masters.started()
    },
    close: async () => {
      await topology.stop()
      client.disconnect()
      await masters.close()
    }
  }
}
