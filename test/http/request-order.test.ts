import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp, type TestApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { converse, open, post, request, statuses } from './raw.ts'

const space = await useSpace()
const slow = Promise.withResolvers<string>()
let api: TestApp
let port: number

beforeAll(async () => {
  api = await openApp(space, 'api', { REQUEST_TIMEOUT_MS: '1000' }, app =>
    app.get('/slow', { config: { scope: 'none' } }, () => slow.promise)
  )
  port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port)
})
afterAll(() => api.close())

const CHUNKED = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }

test.each([
  ['an order with one byte too many', `${post('more')}x`, [202, 400]],
  ['orders before invalid HTTP', `${post('two-1')}${post('two-2')}\x00\r\n\r\n`, [202, 202, 400]],
  ['orders before an unknown method', `${post('foo')}FOO /orders HTTP/1.1\r\nhost: x\r\n\r\n`, [202, 501]],
  ['an order before CONNECT', `${post('tunnel')}CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n`, [202, 501]],
  ['an order before a head that is too long', `${post('long')}GET /${'x'.repeat(20_000)}`, [202, 431]],
  ['an order before an incomplete head', `${post('head')}GET /heal`, [202, 408]],
  ['an order before an incomplete body', `${post('body')}${post('half').slice(0, -3)}`, [202, 408]],
  [
    'an order before a broken chunk',
    `${post('chunk')}${request('POST /orders', undefined, CHUNKED)}5\r\n{"ord\r\nZ\r\n`,
    [202, 400]
  ],
  [
    'an invalid body before an order',
    `${request('POST /orders', '{')}${post('behind', { connection: 'close' })}`,
    [400, 202]
  ],
  ['bytes after an order that ends its connection', `${post('last', { connection: 'close' })}x`, [202]]
])('the server answers requests in order, then closes the connection: %s', async (_what, bytes, expected) => {
  expect(statuses(await converse(port, bytes))).toEqual(expected)
})

test('an order is not accepted after a refusal that ends the connection', async () => {
  const refused = `${request('POST /nowhere', undefined, CHUNKED)}1\r\n{\r\n0\r\n\r\n`
  expect(statuses(await converse(port, refused + post('behind-refusal')))).toEqual([404])
  expect((await api.call('/orders/behind-refusal')).statusCode).toBe(404)
})

test('a request that is refused before its body arrives gets one answer, even if the body never arrives', async () => {
  expect(statuses(await converse(port, request('POST /nowhere', '{}', { 'content-length': 99 })))).toEqual([
    404
  ])
})

test.each([
  ['after whole requests', 50, '', []],
  ['in the middle of a head', 1, 'GET /health', [400]],
  ['in the middle of a body', 1, post('cut').slice(0, -3), [400]]
])('a client that closes its side %s gets all its answers', async (what, count, rest, further) => {
  const client = await open(port)
  const orders = Array.from({ length: count }, (_, n) => post(`fin-${what.replaceAll(' ', '-')}-${n}`))
  client.socket.end(orders.join('') + rest)
  expect(statuses(await client.answers())).toEqual([...orders.map(() => 202), ...further])
})

test('invalid bytes are refused only after the answer to the request before them', async () => {
  const client = await open(port)
  client.socket.write(`${request('GET /slow')}\x00\r\n\r\n`)
  await until('the faulty bytes are there', () => client.socket.bytesWritten > 0)
  await api.call('/health/live')
  expect(client.received()).toBe('')
  slow.resolve('at last')
  const [first, second] = await client.answers()
  expect([first?.body, second?.status]).toEqual(['at last', 400])
})
