import { expect, test } from 'vitest'
import { freePort } from '../../src/local/ports.ts'
import { useApp } from '../app.ts'
import { until } from '../space.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

test('Durability tells what Redis promises now; one that may evict orders gets none, and health says so', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const { call, post } = await useApp(space, 'api')
  let sent = 0
  const durability = async () => (await post({ order_id: `kept-${sent++}`, amount: 1 })).headers.durability
  const warnings = async () => (await call('/health')).json().warnings
  expect([await durability(), await warnings()]).toEqual(['fsync', undefined])

  await space.redis.config('SET', 'appendfsync', 'everysec')
  await until('it is told', async () => (await durability()) === 'memory')
  await space.redis.config('SET', 'appendfsync', 'always')
  await until('it is told again', async () => (await durability()) === 'fsync')

  await space.redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await until('orders go into MySQL', async () => (await durability()) === 'mysql')
  expect(await warnings()).toEqual([expect.stringContaining('set it to volatile-lru')])
  await space.redis.config('SET', 'maxmemory-policy', 'volatile-lru')
  await until('orders go into Redis again', async () => (await durability()) === 'fsync')
  expect(await warnings()).toBeUndefined()
})

test('without Redis, Durability tells what MySQL promises', { timeout: 60_000 }, async () => {
  const space = await stores.space()
  const durability = async () => {
    const { post } = await useApp(space, 'api', {
      REDIS_PORT: String(await freePort())
    })
    return (await post({ order_id: `kept-${performance.now().toFixed()}`, amount: 1 })).headers.durability
  }
  expect(await durability()).toBe('mysql')
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 2')
  expect(await durability()).toBe('memory')
  await space.sql('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
})
