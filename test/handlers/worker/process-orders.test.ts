import { expect, test } from 'vitest'
import processOrders from '../../../handlers/worker/process-orders.ts'
import { ORDER_FUNCTION, PLACED } from '../../../src/orders/names.ts'
import { newRecord, type OrderRecord, renderDocument } from '../../../src/orders/order.ts'
import { complete, fail } from '../../../src/orders/pricing.ts'
import { completeSpilled } from '../../../src/orders/recover/complete-spilled.ts'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import type { Keys } from '../../../src/streams/keys.ts'
import { openApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'
import { writeRow } from '../../orders/write-row.ts'

const space = await useSpace()

const message = (order_id: string, amount: string) => ({
  order_id,
  amount,
  tax_rate: '0.18',
  accepted_at: '2026-01-31T12:00:00.000Z'
})

test('an order whose worker freezes before the settlement is published once, and another body is refused', async () => {
  const api = await useApp(space, 'api')
  const placed = api.app.keys.stream(PLACED, 0)
  const place = (order_id: string, amount: string) => {
    const fields = { v: '1', data: JSON.stringify(message(order_id, amount)), request_id: 'r' }
    return space.redis.xadd(placed, '*', ...Object.entries(fields).flat()) as Promise<string>
  }

  // A worker reads the message, commits the row and freezes.
  await space.redis.xgroup('CREATE', placed, ORDER_FUNCTION, '0', 'MKSTREAM')
  const messageId = await place('frozen', '10')
  await space.redis.xreadgroup('GROUP', ORDER_FUNCTION, 'frozen-worker', 'COUNT', 1, 'STREAMS', placed, '>')
  const order = complete(message('frozen', '10'), new Date().toISOString())
  await writeRow(api, order, { messageId })
  await place('frozen', '11')

  const worker = await openApp(space, 'worker', { LEASE_MS: 1000 })
  await until('both messages are settled', async () => (await space.redis.xlen(placed)) === 0)
  await worker.close()

  expect((await api.app.streams.deadLetters.list(ORDER_FUNCTION, '', 10)).deadLetters).toHaveLength(1)
  expect((await api.call('/orders/frozen')).json()).toMatchObject({ amount: 10, status: 'completed' })
  expect(await space.redis.xlen(api.app.keys.stream('events', 0))).toBe(1)
})

/** Adds a retry that is due now and was delivered `takings` times before. */
async function addRetry(keys: Keys, id: string, body: object, record: Record<string, unknown>, takings = 0) {
  const whole = {
    v: '1',
    data: JSON.stringify(body),
    requestId: 'r',
    traceparent: '',
    ordinal: '',
    attempts: 0,
    firstAt: Date.now(),
    taken: 0,
    redriven: '',
    ...record
  }
  await space.redis.hset(keys.retrying(ORDER_FUNCTION, 0), id, JSON.stringify(whole), `${id}#`, takings)
  await space.redis.zadd(keys.retry(ORDER_FUNCTION, 0), 0, id)
}

/** Waits until all messages about orders are settled. */
const settled = (keys: Keys) =>
  until('all is settled', async () => {
    const left = await Promise.all([
      space.redis.xlen(keys.stream(PLACED, 0)),
      space.redis.zcard(keys.retry(ORDER_FUNCTION, 0))
    ])
    return left.every(count => count === 0)
  })

test('I5: an order becomes a dead letter even if its worker is killed after it writes the failed row', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN: 'a'.repeat(16) })
  const { keys, orders, streams } = app
  const id = '1769860800001-0'
  const order = fail(message('failing', '10'), { code: 'exhausted', detail: 'why' }, new Date().toISOString())
  await writeRow({ app }, order, { messageId: id })
  await addRetry(keys, id, message('failing', '10'), { attempts: 7 })

  await useApp(space, 'worker')
  await settled(keys)
  const { deadLetters } = await streams.deadLetters.list(ORDER_FUNCTION, '', 100)
  const own = deadLetters.filter(({ data }) => data.includes('failing'))
  expect(own).toEqual([expect.objectContaining({ code: 'exhausted', attempts: 8 })])
  await streams.deadLetters.redrive(ORDER_FUNCTION, [own[0]?.id as string], 100)
  await until(
    'it is completed',
    async () => (await orders.store.find(['failing'])).get('failing')?.status === 'completed'
  )
})

test('I11: a failing message about an existing order is a duplicate or a conflict', async () => {
  const { app, call } = await useApp(space, 'api', { ADMIN_TOKEN: 'a'.repeat(16) })
  const { keys, streams } = app
  const write = (order: OrderRecord, messageId: string) => writeRow({ app }, order, { messageId })
  const audit = async () =>
    (await call({ url: '/admin/audit', headers: { authorization: `Bearer ${'a'.repeat(16)}` } })).json()
  for (const name of ['exists', 'exists-too'])
    await write(complete(message(name, '10'), new Date().toISOString()), `of-${name}`)
  const before = await audit()
  // After this number of deliveries, a message fails without its handler, and `onDead` still runs.
  await addRetry(keys, '1769860800002-0', message('exists', '10'), {}, 12)
  await addRetry(keys, '1769860800003-0', message('exists-too', '11'), {}, 12)

  await useApp(space, 'worker')
  await settled(keys)
  const { deadLetters } = await streams.deadLetters.list(ORDER_FUNCTION, '', 100)
  expect(deadLetters.filter(({ data }) => data.includes('"exists"'))).toEqual([])
  expect(deadLetters.filter(({ data }) => data.includes('exists-too'))).toEqual([
    expect.objectContaining({ code: 'conflict' })
  ])
  const after = await audit()
  expect(after.duplicates - before.duplicates).toBe(1)
  expect(after.conflicts - before.conflicts).toBe(1)
})

test('the document of the existing order replaces the document of a refused body', async () => {
  const { app, call } = await useApp(space, 'api')
  const { keys } = app
  const order = complete(message('replaced', '10'), new Date().toISOString())
  await writeRow({ app }, order)
  // The accept writes this document when Redis has lost the id and MySQL is unavailable.
  const key = keys.document('replaced')
  await space.redis.set(key, renderDocument(newRecord('replaced', '11', order.created_at)))
  await addRetry(keys, '1769860800007-0', message('replaced', '11'), {})

  await useApp(space, 'worker')
  await settled(keys)
  const answer = await call('/orders/replaced')
  expect([answer.headers['x-cache'], answer.json()]).toEqual([
    'hit',
    expect.objectContaining({ total: 11.8 })
  ])
  expect(await space.redis.ttl(key)).toBeGreaterThan(0)
})

test('a message in conflict with a waiting order publishes no event of that order', async () => {
  await useApp(space, 'api')
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES ('waits', 10, 'processing', NOW(3), NOW(3))"
  )
  // The task that would complete the waiting order does not run.
  const { app } = await useApp(space, 'api', {}, app => {
    app.register(processOrders)
  })
  const { keys, streams } = app
  await addRetry(keys, '1769860800006-0', message('waits', '11'), {})
  await settled(keys)
  const { deadLetters } = await streams.deadLetters.list(ORDER_FUNCTION, '', 100)
  expect(deadLetters.filter(({ data }) => data.includes('"waits"'))).toMatchObject([{ code: 'conflict' }])
  expect(await space.redis.exists(keys.document('waits'))).toBe(0)
  const events = await space.redis.xrange(keys.stream('events', 0), '-', '+')
  expect(events.filter(([, fields]) => fieldOf(fields, 'data').includes('"waits'))).toEqual([])
  await space.sql("DELETE FROM orders WHERE order_id = 'waits'")
})

test('a failing message about a waiting order does not fail that order', async () => {
  const { app } = await useApp(space, 'api', {}, app => {
    app.register(processOrders)
  })
  const { keys, orders, streams } = app
  await space.sql(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at, tax_rate) VALUES ('waits-on', 10, 'processing', NOW(3), NOW(3), 0.18)"
  )
  await addRetry(keys, '1769860800008-0', message('waits-on', '10'), {}, 12)
  await settled(keys)
  expect((await orders.store.find(['waits-on'])).get('waits-on')).toMatchObject({ status: 'processing' })
  const { deadLetters } = await streams.deadLetters.list(ORDER_FUNCTION, '', 100)
  expect(deadLetters.filter(({ data }) => data.includes('"waits-on"'))).toEqual([])
  expect(await space.redis.exists(keys.document('waits-on'))).toBe(0)
  await completeSpilled(app.stores.mysql)
  expect((await orders.store.find(['waits-on'])).get('waits-on')).toMatchObject({ total: '11.8' })
})

test('a redriven order is published although a GET restores its document before the settlement', async () => {
  const { app, call } = await useApp(space, 'api')
  const { keys } = app
  const id = '1769860800004-0'
  const at = new Date().toISOString()
  const write = (order: OrderRecord, redriven: boolean) =>
    writeRow({ app }, order, { messageId: id, redriven })
  await write(fail(message('late', '10'), { code: 'exhausted', detail: 'why' }, at), false)
  // A worker completes the row and exits.
  await write(complete(message('late', '10'), at), true)
  expect((await call('/orders/late')).json()).toMatchObject({ status: 'completed' })
  await until('the document is there', () => space.redis.exists(keys.document('late')))
  await addRetry(keys, id, message('late', '10'), { redriven: 'failed' })

  await useApp(space, 'worker')
  await settled(keys)
  const events = await space.redis.xrange(keys.stream('events', 0), '-', '+')
  expect(events.filter(([, fields]) => fieldOf(fields, 'data').includes('"late:completed"'))).toHaveLength(1)
})

test('a redriven order that fails again becomes a dead letter with its new cause', async () => {
  const { app } = await useApp(space, 'api')
  const { keys, streams } = app
  const id = '1769860800005-0'
  const order = fail(message('again', '10'), { code: 'exhausted', detail: 'why' }, new Date().toISOString())
  await writeRow({ app }, order, { messageId: id })
  await space.sql(
    `CREATE TRIGGER broken BEFORE UPDATE ON orders FOR EACH ROW
     IF NEW.order_id = 'again' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no price for it'; END IF`
  )
  await addRetry(keys, id, message('again', '10'), { attempts: 7, redriven: 'failed' })

  await useApp(space, 'worker')
  await settled(keys)
  await space.sql('DROP TRIGGER broken')
  const { deadLetters } = await streams.deadLetters.list(ORDER_FUNCTION, '', 100)
  expect(deadLetters.filter(({ data }) => data.includes('"again"'))).toEqual([
    expect.objectContaining({
      code: 'exhausted',
      attempts: 8,
      cause: expect.objectContaining({ message: expect.stringContaining('no price for it') })
    })
  ])
})

test('a retry without an ordinal, which an older version has written, is processed', async () => {
  const { app } = await useApp(space, 'worker')
  const older = { ordinal: undefined, number: '7', epoch: 'e', attempts: 1 }
  await addRetry(app.keys, '1769860800000-0', message('older', '10'), older)
  await until('the order is completed', async () => {
    const rows = await space.sql("SELECT 1 FROM orders WHERE order_id = 'older' AND status = 'completed'")
    return rows.length === 1
  })
})

test('a message and its event have the trace of the request, and no trace field without a trace', async () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const api = await useApp(space, 'api')
  const stream = (name: string) => api.app.keys.stream(name, 0)
  const traces = async (name: string, from: string) =>
    (await space.redis.xrange(stream(name), from, '+')).map(([, fields]) => fieldOf(fields, 'traceparent'))
  const [last] = await space.redis.xrevrange(stream('events'), '+', '-', 'COUNT', 1)
  await api.post({ order_id: 'traced', amount: 1 }, { traceparent })
  await api.post({ order_id: 'untraced', amount: 1 })
  expect(await traces(PLACED, '-')).toEqual([traceparent, ''])
  const invalid = [
    `ff${traceparent.slice(2)}`,
    traceparent.replace(/4bf\w+/, '0'.repeat(32)),
    `${traceparent}-x`
  ]
  for (const [n, given] of invalid.entries())
    await api.post({ order_id: `mistraced-${n}`, amount: 1 }, { traceparent: given })
  expect((await traces(PLACED, '-')).slice(2)).toEqual(['', '', ''])
  const [, untraced] = await space.redis.xrange(stream(PLACED), '-', '+')
  expect(untraced?.[1]).not.toContain('traceparent')

  await useApp(space, 'worker')
  await until('both are settled', async () => (await space.redis.xlen(stream(PLACED))) === 0)
  expect((await traces('events', `(${last?.[0] ?? '0'}`)).filter(Boolean)).toEqual([traceparent])
  const [[, event] = ['', []]] = await space.redis.xrange(stream('events'), `(${last?.[0] ?? '0'}`, '+')
  const order = (await api.call('/orders/traced')).json()
  expect(order.updated_at).not.toBe(order.created_at)
  expect(JSON.parse(fieldOf(event, 'data'))).toEqual({
    specversion: '1.0',
    id: 'traced:completed',
    source: '/orders',
    type: 'order.completed',
    subject: 'traced',
    time: order.updated_at,
    traceparent,
    datacontenttype: 'application/json',
    data: order
  })
})
