import { expect, test } from 'vitest'
import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import { toCandidate } from '../../../src/orders/accept/candidate.ts'
import { spill } from '../../../src/orders/accept/spill.ts'
import { completeSpilled } from '../../../src/orders/recover/complete-spilled.ts'
import { publishOutbox } from '../../../src/orders/recover/publish-outbox.ts'
import { StoreUnavailable } from '../../../src/stores/errors.ts'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()

test('orders are accepted in MySQL while a worker that hangs locks all slots of the totals except one', async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
  // At the default isolation level, the query would also lock the row that does not match.
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

test('I2: without Redis, one of many requests for an order gets 202, and the others get 200 for the same body or 409 for another body', async () => {
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

test('I2: if the row of an order exists before its batch is written, that order is returned, and the rest of the batch is accepted', async () => {
  const { orders, stores } = (await useApp(space, 'api')).app
  const { mysql } = stores
  const accepted = async () => (await orders.store.totals()).accepted
  const candidate = (order_id: string, amount: number) =>
    toCandidate({ order_id, amount }, '0.18', { tenant: DEFAULT_TENANT, requestId: '', traceparent: '' })
  const before = await accepted()
  expect(await spill(mysql, orders.store, [candidate('taken', 1)], 5000)).toEqual([undefined])
  const known = await spill(mysql, orders.store, [candidate('free', 3), candidate('taken', 2)], 5000)
  expect(known).toEqual([undefined, expect.objectContaining({ order_id: 'taken', amount: '1' })])
  expect(await accepted()).toBe(before + 2)
})

test('an order that has waited for longer than an accept may take is not spilled, because lists rely on it', async () => {
  const { orders, stores } = (await useApp(space, 'api')).app
  const origin = { tenant: DEFAULT_TENANT, requestId: '', traceparent: '' }
  const sentAgo = (order_id: string, ms: number) =>
    toCandidate({ order_id, amount: 1 }, '0.18', origin, new Date(Date.now() - ms).toISOString())
  const late = [sentAgo('in-time', 0), sentAgo('late', 8001)]
  await expect(spill(stores.mysql, orders.store, late, 1000)).rejects.toThrow(StoreUnavailable)
  expect(await orders.store.findKnown(['in-time', 'late'])).toEqual([])
  await spill(stores.mysql, orders.store, [sentAgo('in-time', 7000)], 1000)
  expect(await orders.store.findKnown(['in-time', 'late'])).toEqual(['in-time'])
})

test('an order gets a 503 while another session locks its row, and can be sent again', {
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

test('a spilled order has the rate of its acceptance, and is published with its request id and trace', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const without = await useApp(space, 'api', {
    REDIS_PORT: NOWHERE,
    TAX_RATE: '0.5'
  })
  const headers = { 'x-request-id': 'req-spilled', traceparent }
  const accepted = (await without.post({ order_id: 'dear', amount: 10 }, headers)).json()
  await without.post({ order_id: 'untraced', amount: 1 })

  const { app, call } = await useApp(space, 'api')
  const { mysql, redis } = app.stores
  await completeSpilled(mysql)
  const done = (await without.call('/orders/dear')).json()
  expect(done).toEqual({
    ...accepted,
    tax: 5,
    total: 15,
    status: 'completed',
    updated_at: done.processed_at,
    processed_at: expect.any(String)
  })
  await publishOutbox({ mysql, redis, keys: app.keys, toPublication: app.orders.toPublication })
  expect((await call('/orders/dear')).json()).toEqual(done)
  const events = (await space.redis.xrange(app.keys.stream('events', 0), '-', '+')).map(([, fields]) => ({
    ...JSON.parse(fieldOf(fields, 'data')),
    request: fieldOf(fields, 'request_id'),
    trace: fieldOf(fields, 'traceparent')
  }))
  const event = { id: 'dear:completed', data: done, traceparent, request: 'req-spilled', trace: traceparent }
  expect(events).toContainEqual(expect.objectContaining(event))
  expect(events.find(({ id }) => id === 'untraced:completed')).toMatchObject({ trace: '' })
})

test('a spilled order that cannot be completed does not delay other orders, and its id is reported', async () => {
  const { orders, stores } = (await useApp(space, 'api')).app
  const { mysql } = stores
  const ids = ['first', 'odd', 'last']
  const candidates = ids.map(order_id =>
    toCandidate({ order_id, amount: 1 }, '0.18', { tenant: DEFAULT_TENANT, requestId: '', traceparent: '' })
  )
  await spill(mysql, orders.store, candidates, 5000)
  await space.sql("ALTER TABLE orders ADD CONSTRAINT odd CHECK (status <> 'completed' OR order_id <> 'odd')")
  const before = await orders.store.totals()
  const { completed, more, retrying } = await completeSpilled(mysql)
  expect([completed, more, [...retrying.keys()]]).toEqual([2, false, ['odd']])
  expect(String(retrying.get('odd'))).toContain('odd')
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
