import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { readEpochRecords } from '../../../src/orders/audit/epoch-records.ts'
import { createEpochWatch } from '../../../src/orders/audit/epoch-watch.ts'
import { createLowWatermarkRecorder } from '../../../src/orders/audit/record-low-watermark.ts'
import { createWatermarks } from '../../../src/orders/audit/watermarks.ts'
import { openApp, type TestApp } from '../../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  return () => api.close()
})

const counter = () => space.redis.hgetall(api.app.keys.accepted(0))
const audit = () => readAudit(api.app.stores.redis, api.app.stores.mysql, api.app.keys)

test('an epoch that an older version began continues, and orders that an older worker wrote are not lost', async () => {
  const epoch = randomUUID()
  await space.redis.hset(api.app.keys.accepted(0), { epoch, count: 5 })
  await space.sql('INSERT INTO accepted_seen (epoch, partition_no, slot, highest) VALUES (?, 0, 3, 5)', [
    epoch
  ])
  await api.post({ order_id: 'next', amount: 1 })
  expect(await counter()).toMatchObject({ epoch, count: '6' })

  const worker = await openApp(space, 'worker')
  await until('the order is settled', async () => (await audit()).in_flight === 0)
  await worker.close()
  await createLowWatermarkRecorder({ ...api.app.stores, keys: api.app.keys })()
  expect(await space.sql('SELECT epoch, ended_to FROM accepted_epochs')).toEqual([{ epoch, ended_to: 6 }])
  expect(await space.sql('SELECT kind FROM accepted_ended')).toEqual([])

  await space.redis.hset(api.app.keys.accepted(0), 'count', 4)
  await until('a new epoch begins', async () => (await counter()).epoch !== epoch)
  expect(await counter()).toMatchObject({ count: '0', [`epoch:${epoch}`]: '4' })
  await until('the watermark is recorded', async () => {
    const [row] = await space.sql<{ highest: number }>('SELECT highest FROM accepted_epochs')
    return row?.highest === 6
  })
  expect(await audit()).toMatchObject({ accepted: 6, lost: 0, redis_lost_data: true })
})

test('when several apis record a watermark, the highest one is kept', async () => {
  const { keys, log, stores } = api.app
  const { redis, mysql } = stores
  const watches = [4, 9, 7].map(count => {
    const watermarks = createWatermarks(1)
    watermarks.observe(0, { epoch: '00000001.several', count })
    watermarks.observe(0, { epoch: '00000002.next', count: 0 })
    return createEpochWatch({ redis, mysql, keys, watermarks, log })
  })
  for (const check of watches) await check()
  const [row] = await space.sql<{ highest: number }>(
    "SELECT highest FROM accepted_epochs WHERE epoch = '00000001.several'"
  )
  expect(row?.highest).toBe(9)
})

test('the low watermark stays below the orders that wait or are retried', async () => {
  const { keys } = api.app
  const epoch = (await counter()).epoch as string
  const record = createLowWatermarkRecorder({ ...api.app.stores, keys: api.app.keys })
  const settledTo = async () => {
    await record()
    const [row] = await space.sql<{ ended_to: number }>(
      'SELECT ended_to FROM accepted_epochs WHERE epoch = ?',
      [epoch]
    )
    return row?.ended_to
  }
  await space.redis.hset(keys.accepted(0), 'count', 20)
  const [retry, retrying] = [keys.retry('process-orders', 0), keys.retrying('process-orders', 0)]
  await space.redis.zadd(retry, 1, 'tried')
  await space.redis.hset(retrying, 'tried', JSON.stringify({ ordinal: `${epoch}:8` }))
  expect(await settledTo()).toBe(7)
  await space.redis.hset(retrying, 'tried', 'no record')
  await space.redis.hset(keys.accepted(0), 'count', 21)
  expect(await settledTo()).toBe(7)
  await space.redis.del(retry)
  await space.redis.xadd(keys.stream('placed', 0), '*', 'v', '1', 'ordinal', `${epoch}:15`)
  expect(await settledTo()).toBe(14)
})

test('with very many recorded outcomes, a check reads few rows, and each run deletes a part of them', async () => {
  // With one connection for orders, its session counts all reads.
  const { app, close } = await openApp(space, 'worker', {
    DB_POOL_SIZE: 2,
    KEY_PREFIX: await useOtherPrefix(space, 'many')
  })
  const { keys, stores } = app
  const { orders: mysql } = stores
  const epoch = '00000001.many'
  const rows = Array.from({ length: 15_000 }, (_, n) => [epoch, 0, 'row', 2 * n + 1, 2 * n + 1])
  await space.sql('INSERT INTO accepted_ended (epoch, partition_no, kind, first_no, last_no) VALUES ?', [
    rows
  ])
  // Without this, MySQL updates its statistics only after some seconds.
  await space.sql('ANALYZE TABLE accepted_ended')
  const reads = async () => {
    const found = await mysql.rows<{ Value: string }>("SHOW SESSION STATUS LIKE 'Handler_read%'", [])
    return found.reduce((sum, { Value }) => sum + Number(Value), 0)
  }
  const before = await reads()
  const records = await readEpochRecords(mysql)
  expect(records.find(row => row.epoch === epoch)).toMatchObject({ highest: 29_999 })
  expect((await reads()) - before).toBeLessThan(5000)
  await close()

  await space.redis.hset(keys.accepted(0), { epoch, count: 30_000 })
  const record = createLowWatermarkRecorder({
    redis: api.app.stores.redis,
    mysql: api.app.stores.orders,
    keys
  })
  const left = async () => (await space.sql('SELECT id FROM accepted_ended WHERE epoch = ?', [epoch])).length
  expect([await record(), await left(), await record(), await left()]).toEqual([true, 5000, false, 0])
})
