import { expect, test } from 'vitest'
import { toCandidate } from '../../src/orders/accept/candidate.ts'
import { spill } from '../../src/orders/accept/spill.ts'
import { completeSpilled } from '../../src/orders/recover/complete-spilled.ts'
import { relayOutbox } from '../../src/orders/recover/publish-outbox.ts'
import { fieldOf } from '../../src/streams/group/delivery.ts'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('orders are accepted in MySQL though all slots of the totals but one are held by a worker that hangs', async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
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

test('I2: concurrent requests for one order, while Redis is away: one 202, the same again 200, another body 409', async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
  const race = (amountOf: (n: number) => number) =>
    Promise.all(
      Array.from({ length: 20 }, (_, n) => api.post({ order_id: `race-${amountOf(1)}`, amount: amountOf(n) }))
    )
  const statuses = async (amountOf: (n: number) => number) =>
    (await race(amountOf)).map(({ statusCode }) => statusCode).sort()
  expect(await statuses(() => 9)).toEqual([...Array(19).fill(200), 202])
  expect(await statuses(n => n + 1)).toEqual([202, ...Array(19).fill(409)])
})

test('I2: a row that another process makes at the same time is found, and the others of the batch are accepted', async () => {
  const { app } = await useApp(space, 'api')
  const { orders } = app
  const { mysql } = app.stores
  const accepted = async () => (await orders.store.totals()).accepted
  const candidate = (order_id: string, amount: number) =>
    toCandidate({ order_id, amount }, '0.18', { requestId: '', traceparent: '' })
  const before = await accepted()
  expect(await spill(mysql, orders.store, [candidate('taken', 1)])).toEqual([undefined])
  const known = await spill(mysql, orders.store, [candidate('free', 3), candidate('taken', 2)])
  expect(known).toEqual([undefined, expect.objectContaining({ order_id: 'taken', amount: '1' })])
  expect(await accepted()).toBe(before + 2)
})

test('an order whose row somebody holds is refused for now, and is no fault', {
  timeout: 60_000
}, async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: '1' })
  await space.sql('START TRANSACTION')
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES ('held', 1, 'completed', NOW(3), NOW(3))"
  )
  const refused = await api.post({ order_id: 'held', amount: 1 })
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1'])
  await space.sql('ROLLBACK')
  expect((await api.post({ order_id: 'held', amount: 1 })).statusCode).toBe(202)
})

test('an order that went past Redis is priced at the rate of its acceptance, and is told with request id and trace', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const without = await useApp(space, 'api', {
    REDIS_PORT: NOWHERE,
    TAX_RATE: '0.5'
  })
  const headers = { 'x-request-id': 'req-spilled', traceparent }
  const accepted = (await without.post({ order_id: 'dear', amount: 10 }, headers)).json()
  await without.post({ order_id: 'untraced', amount: 1 })

  const { app, call } = await useApp(space, 'api')
  await completeSpilled(app.stores.mysql)
  const done = (await without.call('/orders/dear')).json()
  expect(done).toEqual({
    ...accepted,
    tax: 5,
    total: 15,
    status: 'completed',
    updated_at: done.processed_at,
    processed_at: expect.any(String)
  })
  await relayOutbox(app.stores.mysql, app.stores.redis, app.keys, app.orders.documents)
  expect((await call('/orders/dear')).json()).toEqual(done)
  const events = (await space.redis.xrange(app.keys.stream('events', 0), '-', '+')).map(([, fields]) => ({
    ...JSON.parse(fieldOf(fields, 'data')),
    request: fieldOf(fields, 'request_id'),
    trace: fieldOf(fields, 'traceparent')
  }))
  const told = { id: 'dear:completed', data: done, traceparent, request: 'req-spilled', trace: traceparent }
  expect(events).toContainEqual(expect.objectContaining(told))
  expect(events.find(({ id }) => id === 'untraced:completed')).toMatchObject({ trace: '' })
})

test('an order that cannot be completed holds up no other that went past Redis, and is named', async () => {
  const { app } = await useApp(space, 'api')
  const { orders } = app
  const { mysql } = app.stores
  const ids = ['first', 'odd', 'last']
  const candidates = ids.map(order_id =>
    toCandidate({ order_id, amount: 1 }, '0.18', { requestId: '', traceparent: '' })
  )
  await spill(mysql, orders.store, candidates)
  await space.sql("ALTER TABLE orders ADD CONSTRAINT odd CHECK (status <> 'completed' OR order_id <> 'odd')")
  const before = await orders.store.totals()
  const { completed, more, failed } = await completeSpilled(mysql)
  expect([completed, more, [...failed.keys()]]).toEqual([2, false, ['odd']])
  expect(String(failed.get('odd'))).toContain('odd')
  const rows = await orders.store.find(ids)
  expect(ids.map(id => rows.get(id)?.status)).toEqual(['completed', 'processing', 'completed'])
  expect(await orders.store.totals()).toMatchObject({
    completed: before.completed + 2,
    processing: before.processing - 2
  })

  await space.sql('ALTER TABLE orders DROP CONSTRAINT odd')
  await until('it is tried again', async () => (await completeSpilled(mysql)).completed === 1)
  expect((await orders.store.find(['odd'])).get('odd')?.status).toBe('completed')
})
