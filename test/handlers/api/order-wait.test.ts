import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complete } from '../../../src/orders/pricing.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useOtherPrefix, useSpace } from '../../harness/space.ts'
import { writeRow } from '../../orders/write-row.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
})
afterAll(() => api.close())

const order = (amount: number | string = 100) => ({ order_id: randomUUID(), amount })
const wait = (seconds: number) => ({ prefer: `wait=${seconds}` })
const get = (id: string, headers: Record<string, string>) => api.call({ url: `/orders/${id}`, headers })

/** Waits until `count` requests wait. */
const waiting = (count: number, { app }: TestApp = api) =>
  until(`${count} requests wait`, () => app.orderWatch.size === count)

test('a POST and a GET with Prefer: wait answer when the order is completed', async () => {
  const body = order()
  const posted = api.post(body, wait(30))
  await until('the order is accepted', async () => (await get(body.order_id, {})).statusCode === 200)
  const read = get(body.order_id, wait(30))
  await waiting(2)
  const worker = await useApp(space, 'worker')

  const created = await posted
  expect(created.statusCode).toBe(202)
  expect(created.headers).toMatchObject({
    'preference-applied': 'wait=30',
    location: `/orders/${body.order_id}`,
    durability: expect.any(String)
  })
  expect(created.json()).toMatchObject({ status: 'completed', total: 118 })
  const found = await read
  expect(found.statusCode).toBe(200)
  expect(found.json()).toEqual(created.json())

  const again = await api.post(body, wait(30))
  expect([again.statusCode, again.json()]).toEqual([200, created.json()])
  expect(api.app.orderWatch.size).toBe(0)
  await worker.close()
})

test('a wait ends with the order as it is when its time is up', async () => {
  const body = order()
  const posted = await api.post(body, wait(0))
  expect([posted.statusCode, posted.json().status, posted.headers['preference-applied']]).toEqual([
    202,
    'processing',
    'wait=0'
  ])
  const read = await get(body.order_id, wait(1))
  expect([read.statusCode, read.json().status]).toEqual([200, 'processing'])
  expect(api.app.orderWatch.size).toBe(0)
})

test('a wait is at most 60 seconds, and a malformed one is ignored', async () => {
  const body = order()
  const endless = get(body.order_id, { prefer: 'wait=86400' })
  expect((await endless).statusCode).toBe(404)
  const posted = await api.post(body, { prefer: 'wait=soon' })
  expect([posted.statusCode, posted.headers['preference-applied']]).toEqual([202, undefined])
  const long = get(body.order_id, { prefer: 'respond-async, wait=86400' })
  await waiting(1)
  await api.call({ method: 'POST', url: `/orders/${body.order_id}/cancel` })
  const worker = await useApp(space, 'worker')
  const answer = await long
  expect([answer.json().status, answer.headers['preference-applied']]).toEqual(['cancelled', 'wait=60'])
  await worker.close()
})

test('an error ends a wait at once', async () => {
  expect((await get(randomUUID(), wait(30))).statusCode).toBe(404)
  const body = order()
  await api.post(body)
  expect((await api.post({ ...body, amount: 1 }, wait(30))).statusCode).toBe(409)
  expect((await api.post({ ...body, amount: -1 }, wait(30))).statusCode).toBe(400)
  expect(api.app.orderWatch.size).toBe(0)
})

test('a stop answers every wait at once, with the order as it is', async () => {
  const own = await useApp(space, 'api')
  const body = order()
  const posted = own.post(body, wait(60))
  await waiting(1, own)
  await own.close()
  const answer = await posted
  expect([answer.statusCode, answer.json().status]).toEqual([202, 'processing'])
})

test('a client that disconnects ends its wait', async () => {
  const body = order()
  await api.post(body)
  const { port } = new URL(await api.app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`GET /orders/${body.order_id} HTTP/1.1\r\nhost: x\r\nprefer: wait=60\r\n\r\n`)
  await waiting(1)
  socket.resetAndDestroy()
  await waiting(0)
})

test('a wait finds an order that is completed while Redis is unavailable', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'spilled')
  const own = await useApp(space, 'api', { KEY_PREFIX, REDIS_PORT: NOWHERE })
  const body = order()
  const posted = own.post(body, wait(60))
  await waiting(1, own)
  const worker = await useApp(space, 'worker', { KEY_PREFIX, REDIS_PORT: NOWHERE })
  const answer = await posted
  expect([answer.statusCode, answer.headers.durability, answer.json().status]).toEqual([
    202,
    'mysql',
    'completed'
  ])
  await worker.close()
})

test('a POST that waits is a 409 when another body of the order becomes final', async () => {
  const body = order()
  const posted = api.post(body, wait(30))
  await until('the order is accepted', async () => (await get(body.order_id, {})).statusCode === 200)
  // As after an outage in which both bodies were accepted.
  const other = {
    order_id: body.order_id,
    amount: '7',
    tax_rate: '0.18',
    accepted_at: new Date().toISOString()
  }
  await writeRow(api, complete(other, new Date().toISOString()))
  const worker = await useApp(space, 'worker')
  const refused = await posted
  expect([refused.statusCode, refused.json().type]).toEqual([409, 'urn:orderstream:problem:order-conflict'])
  expect((await get(body.order_id, wait(30))).json().amount).toBe(7)
  await worker.close()
})
