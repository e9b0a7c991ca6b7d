import { expect, test } from 'vitest'
import { useFunction } from '../../test/harness/function.ts'
import reserveStock from './reserve-stock.ts'

const tables = [new URL('../migrations/001.do.stock.sql', import.meta.url)]

test('reserve-stock takes one item for each order, and dead-letters an order when no item is left', async () => {
  const fn = await useFunction(reserveStock, { tables })
  await fn.space.sql("INSERT INTO stock VALUES ('parcel-box', 2)")
  for (const order_id of ['one', 'one', 'two']) await fn.orderCompleted(order_id, 100)
  await fn.settled()
  expect(await fn.deadLetters()).toEqual([])

  await fn.orderCompleted('three', 100)
  await fn.settled()
  expect(await fn.deadLetters()).toMatchObject([{ code: 'out-of-stock', attempts: 1 }])
  const reserved = await fn.space.sql('SELECT event_id FROM stock_reservations ORDER BY event_id')
  expect(reserved).toEqual([{ event_id: 'one:completed' }, { event_id: 'two:completed' }])
  expect(await fn.space.sql('SELECT * FROM stock')).toEqual([{ item: 'parcel-box', available: 0 }])
})
