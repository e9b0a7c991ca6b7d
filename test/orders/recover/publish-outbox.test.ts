import { expect, test } from 'vitest'
import { publishOutbox } from '../../../src/orders/recover/publish-outbox.ts'
import { StoreRefused } from '../../../src/stores/errors.ts'
import { useApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()

test('an order in the outbox is published once, when MySQL permits its deletion from the outbox', async () => {
  const { app } = await useApp(space, 'api')
  await space.sql(
    "INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at) VALUES ('final', 10, 1.8, 11.8, 'completed', NOW(3), NOW(3), NOW(3))"
  )
  await space.sql("INSERT INTO outbox (order_id) VALUES ('final')")
  const publish = () =>
    publishOutbox({ ...app.stores, keys: app.keys, toPublication: app.orders.toPublication })
  const events = () => space.redis.xlen(app.keys.stream('events', 0))

  // MySQL returns this error when its disk is full. Reads still work.
  await space.sql(
    "CREATE TRIGGER full_disk BEFORE DELETE ON outbox FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114"
  )
  for (let n = 0; n < 3; n++) await expect(publish()).rejects.toBeInstanceOf(StoreRefused)
  expect(await events()).toBe(0)
  await space.sql('DROP TRIGGER full_disk')
  expect(await publish()).toEqual({ published: 1, more: false })
  expect(await publish()).toEqual({ published: 0, more: false })
  expect(await events()).toBe(1)
})
