import fc from 'fast-check'
import { Redis } from 'ioredis'
import { expect, inject, test } from 'vitest'
import { slotOf } from '../../src/stores/redis/cluster/slot.ts'
import { openApp, useApp } from '../harness/app.ts'
import { useCluster } from '../harness/cluster.ts'
import { until } from '../harness/space.ts'

const { cluster, client, space: openSpace } = await useCluster({ masters: 3, replicas: 0 })

test('orders of every partition are accepted, processed and read on a cluster', async () => {
  const space = await openSpace()
  const api = await useApp(space, 'api')
  await useApp(space, 'worker')
  const ids = Array.from({ length: 200 }, (_, n) => `order-${n}`)
  const answers = await Promise.all(ids.map(order_id => api.post({ order_id, amount: 10 })))
  expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([202]))
  expect(new Set(answers.map(({ headers }) => headers.durability))).toEqual(new Set(['fsync']))
  await until('all are completed', async () => {
    const read = await Promise.all(ids.map(id => api.call(`/orders/${id}`)))
    return read.every(answer => answer.json().status === 'completed')
  })
  expect(new Set(ids.map(api.app.keys.partitionOf)).size).toBe(12)

  const masters = await Promise.all(
    cluster.servers.map(async ({ port }) => {
      const server = new Redis({ port, replyMapping: 'legacy' })
      const keys = await server.keys(`*${space.env.KEY_PREFIX}:*:accepted`)
      server.disconnect()
      return keys.length
    })
  )
  expect(masters).toEqual([4, 4, 4])
  expect((await api.call('/health')).json()).toMatchObject({
    status: 'healthy',
    services: { redis: 'connected' }
  })
})

test('a change to a cluster and back is refused while orders wait', async () => {
  const space = await openSpace()
  const { host, port } = inject('stores').redis
  const single = { REDIS_CLUSTER: 'false', REDIS_HOST: host, REDIS_PORT: port }
  for (const [first, second] of [
    [single, {}],
    [{}, single]
  ]) {
    const before = await openApp(space, 'api', first)
    expect((await before.post({ order_id: 'waits', amount: 1 })).headers.durability).toBe('fsync')
    await before.close()
    const after = await useApp(space, 'api', second)
    expect((await after.post({ order_id: 'spilled', amount: 1 })).headers.durability).toBe('mysql')
    const refusal =
      /are in Redis under KEY_PREFIX=.* Start with these until nothing waits, and run `npm run admin -- redis release`/
    expect(after.log.some(({ err }) => refusal.test((err as Error)?.message))).toBe(true)
    const worker = await openApp(space, 'worker', first)
    await until('the order that waits is completed', async () => {
      const rows = await space.sql("SELECT id FROM orders WHERE order_id = 'waits' AND status = 'completed'")
      return rows.length === 1
    })
    await worker.close()
    for (const table of ['orders', 'redis_layout']) await space.sql(`DELETE FROM ${table}`)
  }
})

test('a function reaches every key with app.redis and with app.stores.redis.run', async () => {
  const { app } = await useApp(await openSpace(), 'worker')
  await until('the client is connected', () => app.redis.status === 'ready')
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const key = `${app.config.KEY_PREFIX}:${name}`
    await app.redis.set(key, name)
    expect(await app.stores.redis.run(redis => redis.get(key))).toBe(name)
  }
  await expect(app.redis.incr(`${app.config.KEY_PREFIX}:a`)).rejects.toThrow('not an integer')
})

test('the slot of any key is the one that Redis computes', async () => {
  const text = fc.string({ unit: fc.constantFrom('{', '}', 'a', 'ä', '\u{1f4e6}', ':', '0') })
  await fc.assert(
    fc.asyncProperty(text, async key => {
      expect(slotOf(key)).toBe(await client.cluster('KEYSLOT', key))
    }),
    { numRuns: 300 }
  )
})
