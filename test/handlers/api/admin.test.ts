import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const authorization = `Bearer ${ADMIN_TOKEN}`
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', { ADMIN_TOKEN })
})
afterAll(() => api.close())

const get = (url: string) => api.call({ url, headers: { authorization } })
const send = (url: string, payload: object) =>
  api.call({ method: 'POST', url, payload, headers: { authorization } })
const audit = async () => (await get('/admin/audit')).json()

/** Adds a message that the api itself would not add. */
const smuggle = (order_id: string, amount: string, ordinal: string) =>
  space.redis.xadd(
    api.app.keys.stream('placed', 0),
    '*',
    ...['v', '1', 'request_id', 'req-x', 'ordinal', ordinal, 'data'],
    JSON.stringify({ order_id, amount, tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' })
  )

describe('/admin', () => {
  test('does not exist without ADMIN_TOKEN', async () => {
    const { call, app } = await useApp(space, 'api')
    expect((await call({ url: '/admin/audit', headers: { authorization } })).statusCode).toBe(404)
    expect(Object.keys(app.swagger().paths ?? {}).filter(path => path.startsWith('/admin'))).toEqual([])
  })

  test('accepts the token after Bearer in upper or lower case', async () => {
    for (const scheme of ['Bearer', 'bearer'])
      expect(
        (await api.call({ url: '/admin/audit', headers: { authorization: `${scheme} ${ADMIN_TOKEN}` } }))
          .statusCode
      ).toBe(200)
  })

  test.each([undefined, 'Bearer wrong', 'Basic abc', '', ADMIN_TOKEN, `Basic ${ADMIN_TOKEN}`])(
    'refuses %s as authorization',
    async given => {
      const response = await api.call({
        url: '/admin/audit',
        headers: given === undefined ? {} : { authorization: given }
      })
      expect(response.statusCode).toBe(401)
      expect(response.headers['www-authenticate']).toBe('Bearer')
    }
  )
})

test('an invalid id of a dead letter is refused', async () => {
  const id = '0:99999999999999999999-1'
  const answers = await Promise.all([
    get(`/admin/dead-letters?after=${id}`),
    get(`/admin/dead-letters/process-orders/${id}`),
    send('/admin/dead-letters/redrive', { function: 'process-orders', ids: [id] }),
    send('/admin/dead-letters/discard', { function: 'process-orders', ids: [id], reason: 'a test' })
  ])
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([400, 400, 400, 400])
  expect((await get('/admin/dead-letters/process-orders/0:9999999999999999999-1')).statusCode).toBe(404)
})

test('a body may have 1,000 ids, and all parameters of a query are optional', async () => {
  const { app, call } = await useApp(space, 'api', { ADMIN_TOKEN })
  const ids = Array.from({ length: 1000 }, (_, n) => `0:${1769860800000 + n}-1234567890`)
  const discarded = await call({
    method: 'POST',
    url: '/admin/dead-letters/discard',
    payload: { function: 'process-orders', ids, reason: 'a test' },
    headers: { authorization }
  })
  expect(discarded.json()).toEqual({ count: 0 })
  const document = app.swagger() as { paths?: Record<string, { get?: { parameters?: unknown[] } }> }
  const parameters = document.paths?.['/admin/dead-letters']?.get?.parameters
  expect(parameters).toHaveLength(3)
  for (const parameter of parameters ?? []) expect(parameter).not.toHaveProperty('required', true)
})

test('I11: the audit has no difference at each stage of an order, nor after a duplicate and a conflict', async () => {
  expect(await audit()).toMatchObject({ accepted: 0, difference: 0 })
  for (let n = 0; n < 3; n++) await api.post({ order_id: `audit-${n}`, amount: 10 })
  expect(await audit()).toMatchObject({ accepted: 3, in_flight: 3, completed: 0, difference: 0 })

  const worker = await openApp(space, 'worker')
  const settled = () => until('all is settled', async () => (await audit()).in_flight === 0)
  await settled()
  expect(await audit()).toMatchObject({ accepted: 3, completed: 3, difference: 0, redis_lost_data: false })

  // A lost reply leaves a second message. An unavailable store may leave a message with another body.
  const epoch = await space.redis.hget(api.app.keys.accepted(0), 'epoch')
  await smuggle('audit-0', '10', `${epoch}:4`)
  await smuggle('audit-1', '11', `${epoch}:5`)
  await space.redis.hincrby(api.app.keys.accepted(0), 'count', 2)
  await settled()
  expect(await audit()).toMatchObject({
    accepted: 5,
    duplicates: 1,
    conflicts: 1,
    completed: 3,
    dead_letters: 1,
    difference: 0
  })
  expect((await get('/admin/dead-letters')).json().dead_letters).toEqual([
    expect.objectContaining({
      code: 'conflict',
      request_id: 'req-x',
      attempts: 1,
      data: expect.stringContaining('audit-1')
    })
  ])

  // The redriven message is in conflict again, and the counts follow it.
  expect((await send('/admin/dead-letters/redrive', { function: 'process-orders' })).json()).toEqual({
    count: 1
  })
  await until('it is a dead letter again', async () => (await audit()).dead_letters === 1)
  expect(await audit()).toMatchObject({ conflicts: 1, retrying: 0, difference: 0 })
  const [{ id }] = (await get('/admin/dead-letters')).json().dead_letters
  expect((await get(`/admin/dead-letters/process-orders/${id}`)).json().id).toBe(id)
  expect(
    (
      await send('/admin/dead-letters/discard', {
        function: 'process-orders',
        ids: [id],
        reason: 'a typing error'
      })
    ).json()
  ).toEqual({ count: 1 })
  expect((await get(`/admin/dead-letters/process-orders/${id}`)).statusCode).toBe(404)
  expect(await audit()).toMatchObject({ conflicts: 1, dead_letters: 0, difference: 0 })
  await worker.close()

  const metrics = await api.call({ url: '/metrics', headers: { accept: 'text/plain' } })
  expect(metrics.body).toMatch(/^orderstream_audit\{figure="difference"\} 0$/m)
  expect(metrics.body).toMatch(/^orderstream_audit\{figure="accepted"\} 5$/m)

  await space.redis.del(api.app.keys.accepted(0))
  expect(await audit()).toMatchObject({ redis_lost_data: true })
  const after = await api.call({ url: '/metrics', headers: { accept: 'text/plain' } })
  expect(after.body).toMatch(/^orderstream_audit\{figure="redis_lost_data"\} 1$/m)
})

// The pauses between eight attempts take up to 25 s.
test('a failed order shows its cause, and completes after a redrive', {
  timeout: 90_000
}, async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'fails')
  const { app, call } = await useApp(space, 'api', { ADMIN_TOKEN, KEY_PREFIX })
  const created = await app.inject({
    method: 'POST',
    url: '/orders',
    payload: { order_id: 'unlucky', amount: 100 }
  })
  expect(created.statusCode).toBe(202)
  // A value that is too long for its column fails every attempt.
  await space.sql(
    "ALTER TABLE orders ADD CONSTRAINT broken CHECK (status <> 'completed' OR order_id <> 'unlucky')"
  )
  await useApp(space, 'worker', { KEY_PREFIX, LEASE_MS: 500 })
  const figures = async () => (await call({ url: '/admin/audit', headers: { authorization } })).json()
  await until('it waits for another attempt', async () => (await figures()).retrying === 1)
  expect((await call('/metrics')).json().services.database.stats).toMatchObject({ processing_orders: 1 })
  const failed = await until(
    'it has failed',
    async () => {
      const response = await call('/orders/unlucky')
      return response.json().status === 'failed' && response.json()
    },
    60_000
  )
  expect(failed).toMatchObject({ status: 'failed', tax: null, total: null, failure: { code: 'exhausted' } })
  // Only the log and the operators get the error text of the driver.
  expect(failed.failure.detail).toMatch(/^It could not be processed\. /)
  // The row fails before the message is settled.
  await until('it has a dead letter', async () => (await figures()).dead_letters === 1)
  expect(await figures()).toMatchObject({ failed: 1, dead_letters: 1, retrying: 0 })

  await call({
    method: 'POST',
    url: '/admin/dead-letters/redrive',
    payload: { function: 'process-orders' },
    headers: { authorization }
  })
  // The redriven order fails again. Its row stays failed, and the order counts once.
  expect(await figures()).toMatchObject({ failed: 1, dead_letters: 0, retrying: 0, difference: 0 })
  await space.sql('ALTER TABLE orders DROP CONSTRAINT broken')
  const done = await until('it is completed', async () => {
    const response = await call('/orders/unlucky')
    return response.json().status === 'completed' && response.json()
  })
  expect(done).toMatchObject({ tax: 18, total: 118 })
  expect(done.failure).toBeUndefined()
  const events = (await space.redis.xrange(app.keys.stream('events', 0), '-', '+')).map(
    ([, [, , , data]]) => JSON.parse(data as string).id
  )
  expect(events).toEqual(['unlucky:failed', 'unlucky:completed'])
  expect(await figures()).toMatchObject({ failed: 0, dead_letters: 0, retrying: 0 })
})

test('a redrive sends 100 dead letters a second by default, and the log has the actions of operators', async () => {
  const { app, call, log } = await useApp(space, 'api', {
    ADMIN_TOKEN,
    KEY_PREFIX: await useOtherPrefix(space, 'rate')
  })
  const act = (name: string, payload: object) =>
    call({ method: 'POST', url: `/admin/dead-letters/${name}`, payload, headers: { authorization } })
  const ids: string[] = []
  for (let n = 0; n < 3; n++) {
    const deadLetter = [
      'id',
      `${n}-0`,
      'code',
      'exhausted',
      'message',
      'no',
      'attempts',
      '1',
      'first_at',
      '1'
    ]
    ids.push(
      `0:${await space.redis.xadd(app.keys.dead('nobody', 0), '*', ...deadLetter, 'last_at', '1', 'taken', '0')}`
    )
  }
  await act('redrive', { function: 'nobody', ids: ids.slice(0, 2) })
  const due = async (id: string) => Number(await space.redis.zscore(app.keys.retry('nobody', 0), id))
  expect((await due('1-0')) - (await due('0-0'))).toBe(10)
  // At this rate, the redrive of all dead letters would take decades.
  expect((await act('redrive', { function: 'nobody', rate: 1e-9 })).statusCode).toBe(400)
  await act('discard', { function: 'nobody', ids: ids.slice(2), reason: 'a test' })
  await call({ method: 'DELETE', url: '/admin/functions/nobody', headers: { authorization } })
  // The counter of orders, which is new under this prefix, also causes a warning.
  const lines = log.filter(({ level, msg }) => level === 40 && String(msg).startsWith('dead letters'))
  expect(lines).toMatchObject([
    { msg: 'dead letters were redriven', function: 'nobody', count: 2, request_id: expect.any(String) },
    { msg: 'dead letters were discarded', function: 'nobody', count: 1, reason: 'a test' }
  ])
})
