import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

test('the Durability header follows the store settings, and no order is accepted in a Redis that may evict it', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const { app, call, post } = await useApp(space, 'api')
  let n = 0
  /** Reads the settings of the stores, and returns the Durability of a new order. */
  const durability = async () => {
    // The first check may join one that began before the change.
    for (let check = 0; check < 2; check++)
      await Promise.all([app.stores.redis.check(), app.stores.mysql.availability.check()])
    return (await post({ order_id: `order-${n++}`, amount: 1 })).headers.durability
  }
  const warnings = async () => (await call('/health')).json().warnings
  expect(await durability()).toBe('fsync')

  for (const [setting, loose, strict] of [
    ['appendfsync', 'everysec', 'always'],
    ['no-appendfsync-on-rewrite', 'yes', 'no'],
    ['appendonly', 'no', 'yes']
  ] as const) {
    await space.redis.config('SET', setting, loose)
    expect(await durability(), setting).toBe('memory')
    await space.redis.config('SET', setting, strict)
    expect(await durability(), setting).toBe('fsync')
  }

  expect(await warnings()).toBeUndefined()
  await space.redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  expect(await durability()).toBe('mysql')
  expect(await warnings()).toEqual([expect.stringContaining('set it to volatile-lru')])
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 2')
  expect(await durability()).toBe('memory')
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
  await space.redis.config('SET', 'maxmemory-policy', 'volatile-lru')
  expect(await durability()).toBe('fsync')
  expect(await warnings()).toBeUndefined()
})
