import { expect, test } from 'vitest'
import { relayOutbox } from '../../src/orders/recover/publish-outbox.ts'
import { StoreRefused } from '../../src/stores/errors.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()

test('what the outbox holds is told once MySQL lets it be forgotten, and not again and again before', async () => {
  const { app } = await useApp(space, 'api')
  await space.sql(
    "INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at) VALUES ('told', 10, 1.8, 11.8, 'completed', NOW(3), NOW(3), NOW(3))"
  )
  await space.sql("INSERT INTO outbox (order_id) VALUES ('told')")
  const relay = () => relayOutbox(app.stores.mysql, app.stores.redis, app.keys, app.orders.documents)
  const events = () => space.redis.xlen(app.keys.stream('events', 0))

  // What a full disk answers; reads go on.
  await space.sql(
    "CREATE TRIGGER full_disk BEFORE DELETE ON outbox FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114"
  )
  for (let n = 0; n < 3; n++) await expect(relay()).rejects.toBeInstanceOf(StoreRefused)
  expect(await events()).toBe(0)
  await space.sql('DROP TRIGGER full_disk')
  expect(await relay()).toEqual({ told: 1, more: false })
  expect(await relay()).toEqual({ told: 0, more: false })
  expect(await events()).toBe(1)
})
