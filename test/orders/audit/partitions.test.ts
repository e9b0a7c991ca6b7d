import { expect, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ORDERS = 20

const audit = ({ app: { keys, stores } }: TestApp) => readAudit(stores.redis, stores.mysql, keys)

/** Adds a second message for an order, as happens when the reply to an accept is lost. */
async function repeat({ app: { keys } }: TestApp, order_id: string): Promise<void> {
  const partition = keys.partitionOf(order_id)
  const data = { order_id, amount: '1', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
  const fields = ['v', '1', 'request_id', '', 'data', JSON.stringify(data)]
  await space.redis.xadd(keys.stream('placed', partition), '*', ...fields)
  await space.redis.hincrby(keys.accepted(partition), 'count', 1)
}

test('I11: partitions that are no longer used stay in the audit and do not count as a loss of data', async () => {
  const four = { STREAM_PARTITIONS: 4 }
  const api = await openApp(space, 'api', four)
  const worker = await openApp(space, 'worker', four)
  const ids = Array.from({ length: ORDERS }, (_, n) => `rest-${n}`)
  expect(new Set(ids.map(api.app.keys.partitionOf))).toEqual(new Set([0, 1, 2, 3]))
  for (const order_id of ids) await api.post({ order_id, amount: 1 })
  await until('all orders are completed', async () => (await audit(api)).completed === ORDERS)
  for (const order_id of ids) await repeat(api, order_id)
  await until('all second messages are duplicates', async () => (await audit(api)).duplicates === ORDERS)
  await Promise.all([api.close(), worker.close()])

  const figures = { accepted: 2 * ORDERS, duplicates: ORDERS, completed: ORDERS, difference: 0 }
  const fewer = await useApp(space, 'api', { STREAM_PARTITIONS: 2 })
  expect(await audit(fewer)).toMatchObject({ ...figures, redis_lost_data: false })
  await space.redis.del(fewer.app.keys.accepted(3))
  expect(await audit(fewer)).toMatchObject({ redis_lost_data: true })
})
