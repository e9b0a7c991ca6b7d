import { expect, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { completeSpilled } from '../../../src/orders/recover/complete-spilled.ts'
import { publishOutbox } from '../../../src/orders/recover/publish-outbox.ts'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { openApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()

/** Sets the time of the next attempt of some orders, and the number of failed attempts. */
const setDue = (seconds: number, which: string, attempts: number) =>
  space.sql(
    'UPDATE spill_attempts SET due_at = UTC_TIMESTAMP(3) + INTERVAL ? SECOND, attempts = ? WHERE order_id LIKE ?',
    [seconds, attempts, which]
  )

test('spilled orders that cannot be completed fail, do not delay other orders, and can be redriven', {
  timeout: 120_000
}, async () => {
  const { app, call } = await useApp(space, 'api', { ADMIN_TOKEN: 'a-token-for-the-tests' })
  const { keys, orders } = app
  const { orders: mysql, redis } = app.stores
  const audit = () => readAudit(redis, mysql, keys)
  const publish = () => publishOutbox({ mysql, redis, keys, toPublication: orders.toPublication })
  // One run reads 500 rows. All of these rows are older than the row that can be completed.
  const row = (id: string, second: number) => [
    id,
    1,
    'processing',
    `2026-01-31 00:00:0${second}`,
    `2026-01-31 00:00:0${second}`,
    '0.18',
    'req-x'
  ]
  const rows = [...Array.from({ length: 500 }, (_, n) => row(`odd-${n}`, 1)), row('later', 2)]
  await space.sql(
    'INSERT INTO orders (order_id, amount, status, created_at, updated_at, tax_rate, request_id) VALUES ?',
    [rows]
  )
  await space.sql('UPDATE order_totals SET accepted = 501, processing = 501 WHERE slot = 0')
  await space.sql(
    "ALTER TABLE orders ADD CONSTRAINT odd CHECK (status <> 'completed' OR order_id NOT LIKE 'odd-%')"
  )

  const first = await completeSpilled(mysql)
  expect([first.retrying.size, first.failed.size, first.more]).toEqual([500, 0, true])
  await setDue(600, 'odd-%', 1)
  expect(await completeSpilled(mysql)).toMatchObject({ completed: 1, retrying: new Map(), failed: new Map() })
  expect(await audit()).toMatchObject({ accepted: 501, completed: 1, in_flight: 500, difference: 0 })

  await setDue(-1, 'odd-7_', 7)
  const { retrying, failed } = await completeSpilled(mysql)
  expect([retrying.size, [...failed.keys()].sort()]).toEqual([
    0,
    Array.from({ length: 10 }, (_, n) => `odd-${70 + n}`)
  ])
  await publish()
  // A crash between publication and commit leaves this state. There is still one dead letter.
  await space.sql("INSERT INTO outbox (order_id) VALUES ('odd-70')")
  await publish()
  expect(await audit()).toMatchObject({ failed: 10, in_flight: 490, dead_letters: 10, difference: 0 })
  expect((await call('/orders/odd-71')).json()).toMatchObject({
    status: 'failed',
    failure: { code: 'exhausted' }
  })
  const events = await space.redis.xrange(keys.stream('events', 0), '-', '+')
  expect(events.map(([, fields]) => JSON.parse(fieldOf(fields, 'data')).id)).toContain('odd-71:failed')
  const { deadLetters } = await app.streams.deadLetters.list('process-orders', '', 1)
  expect(deadLetters).toMatchObject([
    {
      code: 'exhausted',
      attempts: 8,
      requestId: 'req-x',
      cause: { message: expect.stringContaining('odd') }
    }
  ])

  await space.sql('ALTER TABLE orders DROP CONSTRAINT odd')
  const worker = await openApp(space, 'worker')
  await setDue(-1, 'odd-%', 1)
  await app.streams.deadLetters.redrive('process-orders', undefined, 1000)
  await until('all are completed', async () => (await audit()).completed === 501)
  await worker.close()
  expect(await audit()).toMatchObject({
    accepted: 501,
    failed: 0,
    in_flight: 0,
    retrying: 0,
    dead_letters: 0,
    difference: 0
  })
  expect(await space.sql('SELECT order_id FROM spill_attempts')).toEqual([])
  expect((await call('/orders/odd-71')).json()).toMatchObject({ status: 'completed', total: 1.18 })
})

test('a spilled order spends no attempt while MySQL refuses writes', async () => {
  const { orders: mysql } = (await useApp(space, 'api')).app.stores
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at, tax_rate) VALUES ('waits', 1, 'processing', NOW(3), NOW(3), 0.18)"
  )
  const refuse = "BEFORE INSERT ON outbox FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030"
  await space.sql(`CREATE TRIGGER refuses ${refuse}`)
  await expect(completeSpilled(mysql)).rejects.toMatchObject({ name: expect.stringMatching(/^Store/) })
  expect(await space.sql('SELECT order_id FROM spill_attempts')).toEqual([])
  await space.sql('DROP TRIGGER refuses')
  expect((await completeSpilled(mysql)).completed).toBe(1)
})
