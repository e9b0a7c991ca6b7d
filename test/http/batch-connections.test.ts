import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OrderResult } from '../../schema/http/order-batch.ts'
import { linesOf, openApp, type TestApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { converse, open, post, type RawAnswer, type RawClient, request, statuses } from './raw.ts'

const space = await useSpace()
const PATIENCE = 1500
let api: TestApp
let port: number

beforeAll(async () => {
  api = await openApp(space, 'api', { REQUEST_TIMEOUT_MS: PATIENCE, RATE_LIMIT_MAX: 0 })
  port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port)
})
afterAll(() => api.close())

const lineOf = (order_id: string) => `{"order_id":"${order_id}","amount":1}\n`
const linesWith = (prefix: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => lineOf(`${prefix}-${from + index}`))

/** Returns the head of a batch, as bytes. Without a length, the body comes in chunks. */
const head = (length?: number, headers: Record<string, string> = {}) =>
  request('POST /orders/batch', undefined, {
    'content-type': 'application/x-ndjson',
    ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': length }),
    ...headers
  })
const batch = (body: string, headers: Record<string, string> = {}) => head(body.length, headers) + body
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

const resultsOf = (answer: RawAnswer | undefined) => linesOf<OrderResult>(answer?.body ?? '')
const countResults = (client: RawClient) => client.received().split('"index":').length - 1

/** Returns the number of orders whose ids begin so that have a document, and whether they are the first ones. */
async function findAccepted(prefix: string, most: number): Promise<{ count: number; isPrefix: boolean }> {
  const keys = Array.from({ length: most }, (_, index) => api.app.keys.document(`${prefix}-${index}`))
  const found = await space.redis.mget(keys)
  const count = found.filter(document => document !== null).length
  return { count, isPrefix: found.slice(0, count).every(document => document !== null) }
}

test('a connection serves further requests after a batch, also when the client pipelines', async () => {
  const body = linesWith('pipelined', 3).join('')
  const bytes = batch(body) + post('after-batch') + batch(body) + request('GET /health/live')
  const answers = await converse(port, bytes + batch('', { connection: 'close' }))
  expect(statuses(answers)).toEqual([200, 202, 200, 200, 400])
  expect(resultsOf(answers[0]).map(({ status }) => status)).toEqual([202, 202, 202])
  expect(resultsOf(answers[2]).map(({ status }) => status)).toEqual([200, 200, 200])
})

test('a client that expects 100-continue gets it, and then the results', async () => {
  const client = await open(port)
  const body = linesWith('expect', 2).join('')
  client.socket.write(head(body.length, { expect: '100-continue', connection: 'close' }))
  await until('the interim answer', () => client.received().startsWith('HTTP/1.1 100'))
  client.socket.write(body)
  const answers = await client.answers()
  expect(statuses(answers)).toEqual([100, 200])
  expect(resultsOf(answers[1])).toHaveLength(2)
})

test('each result comes while the body still arrives, however long the whole body takes', async () => {
  const client = await open(port)
  client.socket.write(head(undefined, { connection: 'close' }))
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < 2 * PATIENCE) {
    client.socket.write(chunk(lineOf(`slow-${sent++}`)))
    await until('its result', () => countResults(client) === sent)
    await delay(PATIENCE / 5)
  }
  client.socket.write('0\r\n\r\n')
  expect(resultsOf((await client.answers())[0])).toHaveLength(sent)
})

test('a client that stops in the middle of an order gets a 408 line, and the connection closes', async () => {
  const client = await open(port)
  client.socket.write(head(1_000_000) + lineOf('stall-0') + lineOf('stall-1').slice(0, 9))
  const [answer] = await client.answers()
  expect(answer?.status).toBe(200)
  expect(resultsOf(answer)).toMatchObject([
    { index: 0, order_id: 'stall-0', status: 202 },
    { index: 1, order_id: null, status: 408, problem: { type: 'urn:orderstream:problem:request-timeout' } }
  ])
})

test('a client that sends no order at all gets a 408', async () => {
  const client = await open(port)
  client.socket.write(`${head(1_000_000)}{`)
  expect(statuses(await client.answers())).toEqual([408])
})

test('a client that disappears before its first order leaves one log line', async () => {
  const id = 'gone-at-once'
  const client = await open(port)
  client.socket.write(`${head(1_000_000, { 'x-request-id': id })}{`)
  await until('the request has begun', () => client.socket.bytesWritten > 0)
  await delay(50)
  client.socket.resetAndDestroy()
  const linesOfRequest = () => api.log.filter(({ request_id }) => request_id === id)
  await until('a log line', () => linesOfRequest().length > 0)
  await delay(50)
  expect(linesOfRequest()).toMatchObject([{ msg: 'client gone before its answer' }])
})

test('a client may read only after it has sent 10,000 orders', async () => {
  const client = await open(port)
  client.socket.pause()
  client.socket.write(batch(linesWith(`late-${'x'.repeat(80)}`, 10_000).join(''), { connection: 'close' }))
  if (client.socket.writableNeedDrain) await once(client.socket, 'drain')
  client.socket.resume()
  const results = resultsOf((await client.answers())[0])
  expect(results.map(({ index, status }) => [index, status])).toEqual(results.map((_, n) => [n, 202]))
  expect(results).toHaveLength(10_000)
})

test.each([
  ['has arrived by then', 60_000, 0],
  ['never arrives', 30_000, 1]
])(
  'a client that sends too many orders before it reads gets one 413, when the rest %s',
  async (what, count, missing) => {
    const client = await open(port)
    client.socket.pause()
    const body = linesWith(`many${missing}`, count).join('')
    client.socket.write(head(body.length + missing, { connection: missing ? 'keep-alive' : 'close' }) + body)
    if (client.socket.writableNeedDrain) await once(client.socket, 'drain')
    client.socket.resume()
    const results = resultsOf((await client.answers())[0])
    expect(results).toHaveLength(10_001)
    expect(results.at(-1)).toMatchObject({ index: 10_000, status: 413 })
    const accepted = await findAccepted(`many${missing}`, 10_100)
    expect({ what, ...accepted }).toEqual({ what, count: 10_000, isPrefix: true })
  }
)

test('a client that never reads holds nobody up and is cut off', async () => {
  const client = await open(port)
  client.socket.pause()
  const closed = new Promise(resolve => client.socket.once('close', resolve))
  // Documents fill the buffers of the system sooner.
  client.socket.write(head(undefined, { prefer: 'return=representation' }))
  const metadata = JSON.stringify({ note: 'x'.repeat(500) })
  const text = Array.from(
    { length: 20_000 },
    (_, n) => `{"order_id":"never-${n % 500}","amount":1,"metadata":${metadata}}\n`
  )
  client.socket.on('error', () => {})
  client.socket.write(chunk(text.join('')))
  const cut = () => api.log.find(({ msg }) => msg === 'batch cut off')
  let served = 0
  while (!cut()) {
    expect(statuses(await converse(port, post(`beside-${served++}`, { connection: 'close' })))).toEqual([202])
  }
  expect(served).toBeGreaterThan(10)
  expect(cut()).toMatchObject({ reason: 'the client reads no results', request_id: expect.any(String) })
  client.socket.resume()
  await closed
  expect(countResults(client)).toBeLessThan(20_000)
})

test('a connection that is cut leaves a prefix accepted, and the same batch again answers 200 for it', async () => {
  const lines = linesWith('cut', 8000)
  const id = 'cut-batch'
  const client = await open(port)
  client.socket.write(head(lines.join('').length, { 'x-request-id': id }))
  client.socket.write(lines.slice(0, 5000).join('') + (lines[5000] as string).slice(0, -1))
  await until('some results', () => countResults(client) > 100)
  client.socket.resetAndDestroy()
  await until('the log line of the request', () =>
    api.log.some(({ msg, request_id }) => msg === 'client gone before its answer' && request_id === id)
  )
  // The micro-batches in flight may end in another order. Only what they all leave is a prefix.
  const accepted = await until('no more orders are accepted', async () => {
    const before = await findAccepted('cut', 8000)
    await delay(200)
    const now = await findAccepted('cut', 8000)
    return before.count === now.count && now.isPrefix && now.count
  })
  expect(accepted).toBeGreaterThan(100)
  expect(api.log.filter(({ level }) => Number(level) >= 40)).toEqual([])
  // The last order had no newline, so nobody knows whether it was whole.
  expect(accepted).toBeLessThanOrEqual(5000)
  const [again] = await converse(port, batch(lines.join(''), { connection: 'close' }))
  const results = resultsOf(again)
  expect(results.filter(({ status }) => status === 200)).toHaveLength(accepted)
  expect(results.slice(accepted).every(({ status }) => status === 202)).toBe(true)
  expect(results).toHaveLength(8000)
})
