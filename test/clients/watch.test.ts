import { expect, test } from 'vitest'
import { Orderstream, type WatchEvent } from '../../clients/typescript/src/index.ts'
import { type Service, startService } from '../harness/service.ts'
import { until, useSpace } from '../harness/space.ts'
import { hangUp, problem, startAnswers } from './answers.ts'

const space = await useSpace()

/** A client of one process after the other. */
function clientOf(first: Service) {
  const place = { url: first.url, connections: 0 }
  const client = new Orderstream({
    url: first.url,
    retries: { base: 20, max: 100 },
    fetch: (input, init) => {
      const url = String(input).replace(first.url, place.url)
      if (url.includes('/order-events')) place.connections++
      return fetch(url, init)
    }
  })
  return { client, place }
}

/** Collects the events of a watch in the background, until `stop` is called. */
function collect(watch: AsyncIterable<WatchEvent>) {
  const events: WatchEvent[] = []
  const ended = (async () => {
    for await (const event of watch) events.push(event)
  })()
  ended.catch(() => undefined)
  const ids = () => events.map(event => (event.type === 'reset' ? 'reset' : event.order.order_id))
  return { events, ids, ended }
}

const sequence = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`)

test('a watch goes on at another process without a gap and without a repetition', {
  timeout: 90_000
}, async () => {
  const api = await startService(space, 'api')
  await startService(space, 'worker')
  const { client, place } = clientOf(api)
  const controller = new AbortController()
  const watch = client.watch({ signal: controller.signal })
  const { events, ids, ended } = collect(watch)
  await until('the watch is connected', () => watch.lastEventId !== '')

  const before = sequence('before', 50)
  const results = client.createMany(before.map(order_id => ({ order_id, amount: 1 })))
  await Array.fromAsync(results)
  await until('the first events have come', () => ids().length >= 20)
  const next = await startService(space, 'api')
  const stopped = api.end('SIGTERM')
  place.url = next.url
  const after = sequence('after', 50)
  for (const order_id of after) await client.create({ order_id, amount: 1 })
  await stopped
  await until('all events have come', () => new Set(ids()).size === 100)
  expect(place.connections).toBeGreaterThan(1)
  expect(ids().toSorted()).toEqual([...before, ...after].toSorted())
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['order.completed']))
  expect(events[0]).toMatchObject({
    id: expect.stringMatching(/./),
    order: { status: 'completed', amount: 1 }
  })

  controller.abort(new Error('enough'))
  await expect(ended).rejects.toThrow('enough')
})

test('a watch begins after a stored position, and filters', { timeout: 90_000 }, async () => {
  const api = await startService(space, 'api')
  await startService(space, 'worker')
  const client = new Orderstream({ url: api.url })
  const watch = client.watch()
  const iterator = watch[Symbol.asyncIterator]()
  const first = iterator.next()
  await until('the watch is connected', () => watch.lastEventId !== '')
  for (const order_id of ['stored-1', 'stored-2'])
    await client.create({ order_id, amount: 1, customer_id: order_id }, { wait: 20_000 })
  const { value } = await first
  expect(value).toMatchObject({ order: { order_id: 'stored-1' } })
  expect(watch.lastEventId).toBe(value?.id)
  await iterator.return()

  for await (const event of client.watch({ lastEventId: watch.lastEventId })) {
    expect(event).toMatchObject({ type: 'order.completed', order: { order_id: 'stored-2' } })
    break
  }
  const filtered = client.watch({ lastEventId: watch.lastEventId, customer_id: 'third', status: 'completed' })
  await client.create({ order_id: 'third', amount: 1, customer_id: 'third' })
  for await (const event of filtered) {
    expect(event).toMatchObject({ order: { order_id: 'third' } })
    break
  }
  await expect(
    client
      .watch({ lastEventId: 'x'.repeat(9000) })
      [Symbol.asyncIterator]()
      .next()
  ).rejects.toMatchObject({ code: 'validation-failed' })
})

function event(id: string, type: string, order_id?: string): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(order_id ? { order_id } : {})}\n\n`
}

test('a watch drops events that come again, returns resets, and continues after its last position', async () => {
  const stream = (text: string) => (response: import('node:http').ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`retry: 5\n\n${text}`)
  }
  const { url, requests } = await startAnswers(
    problem(503, 'unavailable'),
    stream(event('1', 'order.completed', 'a') + event('2', 'order.failed', 'b')),
    hangUp,
    problem(429, 'too-many-requests'),
    stream(event('2', 'order.failed', 'b') + event('3', 'reset') + event('4', 'order.completed', 'b')),
    stream('id: 5\n\n'),
    stream(event('6', 'later.type', 'x') + event('7', 'order.cancelled', 'c')),
    problem(403, 'insufficient-scope')
  )
  const client = new Orderstream({ url, retries: { base: 1, max: 5 } })
  const { events, ended } = collect(client.watch({ lastEventId: '0' }))
  await expect(ended).rejects.toMatchObject({ code: 'insufficient-scope' })
  expect(events).toEqual([
    { id: '1', type: 'order.completed', order: { order_id: 'a' } },
    { id: '2', type: 'order.failed', order: { order_id: 'b' } },
    { id: '3', type: 'reset' },
    { id: '4', type: 'order.completed', order: { order_id: 'b' } },
    { id: '7', type: 'order.cancelled', order: { order_id: 'c' } }
  ])
  expect(requests.map(({ headers }) => headers['last-event-id'])).toEqual([
    '0',
    '0',
    '2',
    '2',
    '2',
    '4',
    '5',
    '7'
  ])
})
