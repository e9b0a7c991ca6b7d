import { expect, test } from 'vitest'
import { createEventLog } from '../../../tools/chaos/events.ts'
import { readHoldings } from '../../../tools/chaos/holdings.ts'
import { openApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'
import { accessOf } from './access.ts'

const space = await useSpace()
const access = accessOf(space)
const key = (name: string) => `{${access.partitions[0]?.tag}}:${name}`

test('the checker reads invalid events, failed orders, and more than a page of rows and dead letters', async () => {
  await space.redis.xadd(key('events'), '*', 'data', JSON.stringify({ specversion: '1.0', id: 'x' }))
  const failed = { specversion: '1.0', id: 'f', source: '/x', type: 'order.failed', subject: 'poor' }
  await space.redis.xadd(key('events'), '*', 'data', JSON.stringify(failed))
  await space.redis.xadd(key('events'), '*', 'data', JSON.stringify({ ...failed, specversion: '0.3' }))
  const events = createEventLog(access)
  await events.drain()
  expect(events.faulty).toHaveLength(2)
  expect(events.failed).toEqual(new Map([['poor', ['f']]]))

  const many = 5001
  const { app, close } = await openApp(space, 'api')
  await until('the tables are there', () => app.stores.mysql.availability.up)
  await close()
  await space.sql(
    `INSERT INTO orders (order_id, amount, status, created_at, updated_at)
     SELECT CONCAT('page-', seq), 1, 'processing', ?, ? FROM seq_1_to_${many}`,
    Array(2).fill('2026-01-31 12:00:00.123')
  )
  const fill = `for i = 1, ${many} do redis.call('XADD', KEYS[1], '*', 'code', 'conflict') end`
  await space.redis.eval(fill, 1, key('dead:process-orders'))
  const holdings = await readHoldings(access)
  expect([holdings.rows.size, holdings.deadLetters.length]).toEqual([many, many])
})
