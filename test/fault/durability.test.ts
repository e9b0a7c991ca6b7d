import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

test('Durability says what the stores promise as they are set now, and no order goes where it could be evicted', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const { app, call, post } = await useApp(space, 'api')
  let n = 0
  /** What is said of a new order, once the stores have been looked at. */
  const told = async () => {
    // Twice, as the first may share a look that began before the setting was changed.
    for (let look = 0; look < 2; look++)
      await Promise.all([app.stores.redis.availability.check(), app.stores.mysql.availability.check()])
    return (await post({ order_id: `order-${n++}`, amount: 1 })).headers.durability
  }
  const warnings = async () => (await call('/health')).json().warnings
  expect(await told()).toBe('fsync')

  for (const [setting, loose, strict] of [
    ['appendfsync', 'everysec', 'always'],
    ['no-appendfsync-on-rewrite', 'yes', 'no'],
    ['appendonly', 'no', 'yes']
  ] as const) {
    await space.redis.config('SET', setting, loose)
    expect(await told(), setting).toBe('memory')
    await space.redis.config('SET', setting, strict)
    expect(await told(), setting).toBe('fsync')
  }

  expect(await warnings()).toBeUndefined()
  await space.redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  expect(await told()).toBe('mysql')
  expect(await warnings()).toEqual([expect.stringContaining('set it to volatile-lru')])
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 2')
  expect(await told()).toBe('memory')
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
  await space.redis.config('SET', 'maxmemory-policy', 'volatile-lru')
  expect(await told()).toBe('fsync')
  expect(await warnings()).toBeUndefined()
})
