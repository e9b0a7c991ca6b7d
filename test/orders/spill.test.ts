import { expect, test } from 'vitest'
import { freePort } from '../../src/local/ports.ts'
import { useApp } from '../app.ts'
import { useSpace } from '../space.ts'

const space = await useSpace()

test('orders are accepted in MySQL though all slots of the totals but one are held by a worker that hangs', async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: String(await freePort()) })
  // The locks of the other level would cover the row that does not match, too.
  await space.sql('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
  await space.sql('START TRANSACTION')
  await space.sql('SELECT slot FROM order_totals WHERE slot <> 17 FOR UPDATE')
  for (let n = 0; n < 10; n++) {
    const response = await api.post({ order_id: `spilled-${n}`, amount: 1 })
    expect([response.statusCode, response.headers.durability]).toEqual([202, 'mysql'])
  }
  await space.sql('ROLLBACK')
  expect(await space.sql('SELECT slot, accepted FROM order_totals WHERE accepted > 0')).toEqual([
    { slot: 17, accepted: 10 }
  ])
})
