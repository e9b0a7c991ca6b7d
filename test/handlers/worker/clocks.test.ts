import { expect, test } from 'vitest'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()

test('an order is never processed before its acceptance, even if the clock of its worker is behind', async () => {
  const { app } = await useApp(space, 'worker')
  const { keys } = app
  const ahead = new Date(Date.now() + 3_600_000).toISOString()
  const place = (id: string, order_id: string, amount: string) => {
    const data = JSON.stringify({ order_id, amount, tax_rate: '0.18', accepted_at: ahead })
    return space.redis.xadd(keys.stream('placed', 0), id, 'v', '1', 'request_id', '', 'data', data)
  }
  // The clocks of the api and of Redis are an hour ahead of the clock of the worker.
  const time = Date.parse(ahead)
  await place(`${time}-0`, 'ahead', '10')
  await until('it is settled', async () => (await space.redis.xlen(keys.stream('placed', 0))) === 0)
  await place(`${time}-1`, 'ahead', '11')
  await until('it is a dead letter', () => space.redis.xlen(keys.dead('process-orders', 0)))

  const times = { created_at: ahead, updated_at: ahead, processed_at: ahead }
  expect((await app.orders.store.find(['ahead'])).get('ahead')).toMatchObject(times)
  expect(JSON.parse((await space.redis.get(keys.document('ahead'))) ?? '')).toMatchObject(times)
  const [[, event]] = (await space.redis.xrange(keys.stream('events', 0), '-', '+')) as [[string, string[]]]
  expect(JSON.parse(fieldOf(event, 'data'))).toMatchObject({ time: ahead, data: times })
  const { deadLetters } = await app.streams.deadLetters.list('process-orders', '', 1)
  expect(deadLetters).toMatchObject([{ code: 'conflict', firstAt: time, lastAt: time }])
})
