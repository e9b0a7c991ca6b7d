import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readRetryAfter } from '../../clients/typescript/src/errors.ts'
import { Orderstream } from '../../clients/typescript/src/index.ts'
import { type Answer, cut, hangUp, json, problem, startAnswers } from './answers.ts'

const ORDER = { order_id: 'one', amount: 1, status: 'completed' }
const QUICK = { attempts: 4, base: 1, max: 5 }

test('a call is repeated after 429, 503, a closed connection and an answer that breaks off', async () => {
  const { url, requests } = await startAnswers(
    problem(429, 'too-many-requests'),
    problem(503, 'unavailable'),
    hangUp,
    cut('{"order_id":'),
    json(202, ORDER, { durability: 'fsync' })
  )
  const client = new Orderstream({ url, retries: { ...QUICK, attempts: 5 } })
  expect(await client.create({ order_id: 'one', amount: 1 })).toMatchObject({
    order: ORDER,
    durability: 'fsync'
  })
  expect(requests).toHaveLength(5)
})

test.each([
  ['seconds', () => '1'],
  ['a date', () => new Date(Date.now() + 2000).toUTCString()]
])('a call waits for the time that Retry-After names as %s', async (_kind, retryAfter) => {
  const { url, times } = await startAnswers(
    (response, request) => problem(503, 'backlog-full', { 'retry-after': retryAfter() })(response, request),
    json(200, ORDER)
  )
  await new Orderstream({ url, retries: QUICK }).get('one')
  // A date has whole seconds.
  expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(950)
})

test('a call ends after its attempts with the last error', async () => {
  const { url, requests } = await startAnswers(problem(503, 'overloaded', { 'retry-after': '0' }))
  const client = new Orderstream({ url, retries: QUICK })
  await expect(client.get('one')).rejects.toMatchObject({
    code: 'overloaded',
    status: 503,
    error_id: 'an-id',
    retryAfter: 0,
    message: 'Title of overloaded. Try again.'
  })
  expect(requests).toHaveLength(4)
})

test('a call ends when the next attempt would begin too late', async () => {
  const { url, requests } = await startAnswers(problem(429, 'quota-exceeded', { 'retry-after': '3600' }))
  const client = new Orderstream({ url })
  await expect(client.get('one')).rejects.toMatchObject({ code: 'quota-exceeded', retryAfter: 3_600_000 })
  expect(requests).toHaveLength(1)
})

test.each([400, 401, 404, 409, 413, 500, 502])('a call with the status %i is not repeated', async status => {
  const { url, requests } = await startAnswers(json(status, 'of a proxy'))
  await expect(new Orderstream({ url, retries: QUICK }).get('one')).rejects.toMatchObject({
    code: `http-${status}`,
    status,
    problem: undefined
  })
  expect(requests).toHaveLength(1)
})

test('an answer that is not JSON is an error', async () => {
  const { url } = await startAnswers(response => response.end('<html>'))
  await expect(new Orderstream({ url }).get('one')).rejects.toMatchObject({ code: 'invalid-answer' })
})

test('an attempt without an answer in time is repeated', async () => {
  const { url, requests } = await startAnswers(() => {}, json(200, ORDER))
  expect(await new Orderstream({ url, retries: QUICK, timeout: 200 }).get('one')).toEqual(ORDER)
  expect(requests).toHaveLength(2)
})

test('the signal ends a call that waits for its next attempt', async () => {
  const { url } = await startAnswers(problem(503, 'unavailable', { 'retry-after': '30' }))
  const signal = AbortSignal.timeout(200)
  await expect(new Orderstream({ url }).get('one', { signal })).rejects.toMatchObject({
    name: 'TimeoutError'
  })
})

/** Answers the orders of a batch with these statuses. Cuts the connection after them, unless there are as many. */
function batch(...statuses: number[]): Answer {
  return async (response, request) => {
    const orders = (await text(request)).trimEnd().split('\n')
    const lines = statuses.map((status, index) => {
      const { order_id } = JSON.parse(orders[index] as string)
      const refused = { type: 'urn:orderstream:problem:backlog-full', status, retry_after: 0 }
      return JSON.stringify({ index, order_id, status, ...(status > 400 && { problem: refused }) })
    })
    const body = lines.map(line => `${line}\n`).join('')
    if (statuses.length === orders.length) response.end(body)
    else cut(`${body}{"index":`, 'application/x-ndjson')(response, request)
  }
}

test.each([true, false])(
  'a batch sends again what was refused for now or has no result (streaming: %s)',
  async streaming => {
    const { url, requests } = await startAnswers(
      problem(503, 'unavailable'),
      hangUp,
      batch(202, 503, 202),
      batch(503, 429, 200),
      batch(202, 202)
    )
    const client = new Orderstream({ url, retries: QUICK })
    const orders = ['a', 'b', 'c', 'd', 'e'].map(order_id => ({ order_id, amount: 1 }))
    const results = await Array.fromAsync(client.createMany(orders, { streaming }))
    expect(results.map(({ index, order_id, status }) => [index, order_id, status])).toEqual([
      [0, 'a', 202],
      [1, 'b', 202],
      [2, 'c', 202],
      [3, 'd', 202],
      [4, 'e', 200]
    ])
    expect(requests).toHaveLength(5)
  }
)

test('a batch whose orders stay without a result fails, after the results that are known', async () => {
  const { url } = await startAnswers(batch(202), hangUp)
  const client = new Orderstream({ url, retries: QUICK })
  const results = client.createMany(['a', 'b'].map(order_id => ({ order_id, amount: 1 })))
  expect((await results.next()).value).toMatchObject({ order_id: 'a', status: 202 })
  await expect(results.next()).rejects.toMatchObject({ code: 'connection-failed' })
})

test('Retry-After is read as seconds or as a date, and never as a time in the past', () => {
  fc.assert(
    fc.property(fc.nat(), seconds => {
      expect(readRetryAfter(String(seconds))).toBe(seconds * 1000)
    })
  )
  expect(readRetryAfter('Mon, 01 Jan 2001 00:00:00 GMT')).toBe(0)
  expect(readRetryAfter('soon')).toBeUndefined()
  expect(readRetryAfter(null)).toBeUndefined()
})
