import { expect, test } from 'vitest'
import { publishOutbox } from '../../src/orders/recover/publish-outbox.ts'
import { StoreRefused } from '../../src/stores/errors.ts'
import { useApp } from '../harness/app.ts'
import type { Space } from '../harness/space.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

/** Adds a completed order to the outbox. */
async function addToOutbox(space: Space, id: string): Promise<void> {
  await space.sql(
    "INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at) VALUES (?, 10, 1.8, 11.8, 'completed', NOW(3), NOW(3), NOW(3))",
    [id]
  )
  await space.sql('INSERT INTO outbox (order_id) VALUES (?)', [id])
}

const outboxOf = async (space: Space) =>
  (await space.sql<{ order_id: string }>('SELECT order_id FROM outbox ORDER BY id')).map(row => row.order_id)

test('I7: spilled orders wait in the outbox while Redis is full', async () => {
  const space = await stores.space()
  const { app } = await useApp(space, 'api')
  const publish = () =>
    publishOutbox({ ...app.stores, keys: app.keys, toPublication: app.orders.toPublication })
  await addToOutbox(space, 'late')
  await space.redis.config('SET', 'maxmemory', 1_000_000)
  for (let n = 0; n < 3; n++) await expect(publish()).rejects.toBeInstanceOf(StoreRefused)
  expect(await outboxOf(space)).toEqual(['late'])
  expect(await space.redis.exists(app.keys.stream('events', 0), app.keys.document('late'))).toBe(0)

  await space.redis.config('SET', 'maxmemory', 0)
  expect(await publish()).toEqual({ published: 1, more: false })
  expect(await outboxOf(space)).toEqual([])
  expect(await space.redis.xlen(app.keys.stream('events', 0))).toBe(1)
  expect(JSON.parse((await space.redis.get(app.keys.document('late'))) ?? '')).toMatchObject({ total: 11.8 })
})

test('orders of one partition are published once while another partition refuses writes', async () => {
  const space = await stores.space()
  const { app } = await useApp(space, 'api', { STREAM_PARTITIONS: 2 })
  const { keys } = app
  const [first, second] = [0, 1].map(
    partition => ['a', 'b', 'c', 'd'].find(id => keys.partitionOf(id) === partition) as string
  ) as [string, string]
  await addToOutbox(space, first)
  await addToOutbox(space, second)
  // A write to a key of another type fails, as if Redis became full between two partitions.
  const [events, refused] = [0, 1].map(partition => keys.stream('events', partition)) as [string, string]
  await space.redis.rpush(refused, 'no stream')
  const publish = () => publishOutbox({ ...app.stores, keys, toPublication: app.orders.toPublication })
  expect(await publish()).toEqual({ published: 1, more: false })
  expect(await outboxOf(space)).toEqual([second])
  for (let n = 0; n < 3; n++) await expect(publish()).rejects.toThrow('WRONGTYPE')
  expect(await space.redis.xlen(events)).toBe(1)

  await space.redis.del(refused)
  expect(await publish()).toEqual({ published: 1, more: false })
  expect([await space.redis.xlen(events), await space.redis.xlen(refused)]).toEqual([1, 1])
  expect(await outboxOf(space)).toEqual([])
})
