import { beforeAll, expect, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { openApp, type TestApp } from '../../harness/app.ts'
import { withBefore } from '../../harness/before-run.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  const worker = await openApp(space, 'worker')
  return async () => {
    await Promise.all([api.close(), worker.close()])
  }
})

let sent = 0

/** Accepts an order and waits until it is settled. */
async function completeOne(): Promise<void> {
  const { app, post } = api
  expect((await post({ order_id: `moving-${sent++}`, amount: 1 })).statusCode).toBe(202)
  await until(
    'the order is settled',
    async () => (await space.redis.xlen(app.keys.stream('placed', 0))) === 0
  )
}

test.each(['redis', 'mysql'])(
  'I11: an order that is accepted and completed before the audit reads %s is neither missing nor lost',
  async slow => {
    const { keys } = api.app
    const { redis, mysql } = api.app.stores
    const audit = await readAudit(
      withBefore(redis, () => (slow === 'redis' ? completeOne() : undefined)),
      {
        ...mysql,
        rows: async (sql, values) => {
          if (slow === 'mysql') await completeOne()
          return mysql.rows(sql, values)
        }
      },
      keys
    )
    expect(audit.difference).toBeLessThanOrEqual(0)
    expect(audit.redis_lost_data).toBe(false)
    expect(await readAudit(redis, mysql, keys)).toMatchObject({
      accepted: sent,
      completed: sent,
      difference: 0
    })
  }
)

test('I11: the audit reports a counter below its watermark as a loss of data, and still includes the orders of a deleted counter', async () => {
  const { keys } = api.app
  const { redis, mysql } = api.app.stores
  const counter = keys.accepted(0)
  await completeOne()
  await space.redis.hincrby(counter, 'count', -1)
  expect(await readAudit(redis, mysql, keys)).toMatchObject({ redis_lost_data: true })
  await space.redis.del(counter)
  await completeOne()
  expect(await readAudit(redis, mysql, keys)).toMatchObject({
    accepted: sent,
    completed: sent,
    difference: 0,
    redis_lost_data: true
  })
})
