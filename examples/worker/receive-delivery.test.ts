import { expect, test } from 'vitest'
import { useFunction, useRoute } from '../../test/harness/function.ts'
import announceDelivery from '../api/announce-delivery.ts'
import receiveDelivery from './receive-delivery.ts'

const tables = [new URL('../migrations/001.do.stock.sql', import.meta.url)]

test('receive-delivery adds a delivery to the stock once when it is posted twice', async () => {
  const fn = await useFunction(receiveDelivery, { tables })
  const route = await useRoute(fn.space, announceDelivery)
  const announce = (body: object) => route.call({ method: 'POST', url: '/deliveries', body })
  const first = { delivery_id: 'd-1', item: 'parcel-box', quantity: 20 }
  for (const delivery of [first, first, { ...first, delivery_id: 'd-2', quantity: 5 }])
    expect((await announce(delivery)).statusCode).toBe(202)
  expect((await announce({ ...first, quantity: 0 })).statusCode).toBe(400)

  await fn.settled()
  expect(await fn.space.sql('SELECT * FROM stock')).toEqual([{ item: 'parcel-box', available: 25 }])
  expect(await fn.deadLetters()).toEqual([])
})
