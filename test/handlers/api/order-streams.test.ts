import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MOST_WAITING } from '../../../src/orders/watch/order-watch.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'
import { type EventClient, openEvents } from './event-source.ts'

const space = await useSpace()
const PARTITIONS = { STREAM_PARTITIONS: 3 }
let api: TestApp
let url: string

const listen = (own: TestApp) => own.app.listen({ port: 0, host: '127.0.0.1' })

beforeAll(async () => {
  api = await openApp(space, 'api', PARTITIONS)
  url = await listen(api)
})
afterAll(() => api.close())

const post = async (fields: Record<string, unknown> = {}, headers?: Record<string, string>) => {
  const body = { order_id: randomUUID(), amount: 100, ...fields }
  expect((await api.post(body, headers)).statusCode).toBe(202)
  return body.order_id as string
}
const postMany = (count: number, fields?: Record<string, unknown>) =>
  Promise.all(Array.from({ length: count }, () => post(fields)))
const idsOf = ({ events }: EventClient) => events.map(({ data }) => data.order_id)
const received = (client: EventClient, count: number) =>
  until(`${count} events arrive`, () => client.events.length >= count)

test('the stream of an order sends its event and ends', async () => {
  const id = await post()
  const stream = await openEvents(`${url}/orders/${id}/stream`)
  expect([stream.status, stream.headers.get('content-type')]).toEqual([
    200,
    'text/event-stream; charset=utf-8'
  ])
  const worker = await useApp(space, 'worker', PARTITIONS)
  await stream.ended
  const document = (await api.call(`/orders/${id}`)).json()
  expect(stream.events).toEqual([{ id: expect.any(String), event: 'order.completed', data: document }])

  const again = await openEvents(`${url}/orders/${id}/stream`)
  await again.ended
  expect(again.events).toEqual(stream.events)
  // A browser connects again when a stream ends. 204 ends that.
  const resumed = await api.call({
    url: `/orders/${id}/stream`,
    headers: { 'last-event-id': stream.lastId() }
  })
  expect(resumed.statusCode).toBe(204)
  await worker.close()
})

test('the stream of an unknown order is a 404', async () => {
  expect((await api.call(`/orders/${randomUUID()}/stream`)).statusCode).toBe(404)
})

test('HEAD of a stream answers with the headers alone', async () => {
  const id = await post()
  for (const path of [`/orders/${id}/stream`, '/order-events']) {
    const { statusCode, headers, body } = await api.call({ method: 'HEAD', url: path })
    expect([statusCode, headers['content-type'], body]).toEqual([200, 'text/event-stream; charset=utf-8', ''])
  }
  await until('nobody follows', () => api.app.orderWatch.size === 0)
})

test('order events are filtered by customer and status', async () => {
  const worker = await useApp(space, 'worker', PARTITIONS)
  const all = await openEvents(`${url}/order-events`)
  const own = await openEvents(`${url}/order-events?customer_id=c-1`)
  const cancelled = await openEvents(`${url}/order-events?status=cancelled`)
  const mine = await postMany(5, { customer_id: 'c-1' })
  const others = await postMany(5, { customer_id: 'c-2' })
  // The events of earlier tests may still arrive.
  const both = new Set([...mine, ...others])
  await until('all events arrive', () => both.isSubsetOf(new Set(idsOf(all))))
  await received(own, 5)
  expect(idsOf(own).toSorted()).toEqual(mine.toSorted())
  expect(cancelled.events).toEqual([])
  for (const each of [all, own, cancelled]) each.close()
  expect((await api.call('/order-events?status=processing')).statusCode).toBe(400)
  await worker.close()
})

test('a stream resumes at another process without a gap or a repetition', async () => {
  const worker = await useApp(space, 'worker', PARTITIONS)
  const first = await openApp(space, 'api', PARTITIONS)
  const stream = await openEvents(`${await listen(first)}/order-events`)
  const beginning = await until('the stream has a position', stream.lastId)
  const before = await postMany(50)
  await received(stream, 50)
  const meanwhile = postMany(50)
  await received(stream, 60)
  await first.close()
  await stream.ended
  await meanwhile
  const after = await postMany(50)

  const resumed = await openEvents(`${url}/order-events`, { 'last-event-id': stream.lastId() })
  const late = await openEvents(`${url}/order-events`, { 'last-event-id': beginning })
  await received(resumed, 150 - stream.events.length)
  const all = [...before, ...(await meanwhile), ...after].toSorted()
  expect([...idsOf(stream), ...idsOf(resumed)].toSorted()).toEqual(all)
  await received(late, 150)
  expect(idsOf(late).toSorted()).toEqual(all)
  resumed.close()
  late.close()
  await worker.close()
})

test.each(['what', '0.0', 'zzzzzzzzz.zzzzzzzzz.zzzzzzzzz', 'mikz3v4g'])(
  'the Last-Event-ID %s gets an event reset, and then new events',
  async lastId => {
    const worker = await useApp(space, 'worker', PARTITIONS)
    const stream = await openEvents(`${url}/order-events`, { 'last-event-id': lastId })
    await received(stream, 1)
    const id = await post()
    await received(stream, 2)
    expect(stream.events.map(({ event, data }) => [event, data.order_id])).toEqual([
      ['reset', undefined],
      ['order.completed', id]
    ])
    stream.close()
    await worker.close()
  }
)

test('with the most waiting clients, a stream is refused, and a wait ends at once', async () => {
  const own = await useApp(space, 'api', PARTITIONS)
  const id = await post()
  const filter = { tenant: 'other', status: undefined, customerId: undefined }
  const follow = () => own.app.orderWatch.follow(filter, undefined, { onMore: () => {}, onStop: () => {} })
  const others = await Promise.all(Array.from({ length: MOST_WAITING }, follow))
  const paths = [`/orders/${id}/stream`, '/order-events']
  for (const path of paths) {
    const refused = await own.call(path)
    expect([refused.statusCode, refused.headers['retry-after'], refused.json().type]).toEqual([
      503,
      '1',
      'urn:orderstream:problem:overloaded'
    ])
  }
  const waited = await own.call({ url: `/orders/${id}`, headers: { prefer: 'wait=60' } })
  expect([waited.statusCode, waited.json().status]).toEqual([200, 'processing'])

  for (const { end } of others.slice(0, paths.length)) end()
  for (const path of paths) expect((await own.call({ method: 'HEAD', url: path })).statusCode).toBe(200)
})

test('a stop ends every stream', async () => {
  const own = await useApp(space, 'api', PARTITIONS)
  const address = await listen(own)
  const id = await post()
  const streams = [
    await openEvents(`${address}/orders/${id}/stream`),
    await openEvents(`${address}/order-events`)
  ]
  await own.close()
  for (const { ended, events } of streams) {
    await ended
    expect(events).toEqual([])
  }
})
