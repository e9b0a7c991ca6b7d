import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { OrderResult } from '../../schema/http/order-batch.ts'
import { linesOf } from '../harness/app.ts'
import { startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

const lineOf = (order_id: string) => `{"order_id":"${order_id}","amount":12.5}`

/** Opens a batch whose body the test writes. `results` has the results so far, `ended` resolves when the answer ends. */
async function openBatch(url: string, first: string) {
  const sent = request(`${url}/orders/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' }
  })
  sent.write(first)
  const [response] = await once(sent, 'response')
  // The service closes the connection, maybe before it has read everything.
  sent.on('error', () => {})
  let received = ''
  response.setEncoding('utf8').on('data', (text: string) => {
    received += text
  })
  return { sent, ended: once(response, 'end'), results: () => linesOf<OrderResult>(received) }
}

/** The texts of orders that are not valid, and the status and the pointer of their errors. */
const BAD: ((id: string) => [text: string, status: number, pointer?: string])[] = [
  id => [`{"order_id":"${id}","amount":1`, 400],
  id => [`{"order_id":"${id}","amount":-1}`, 400, '/amount'],
  id => [`{"order_id":"${id}","amount":1.23456}`, 400, '/amount'],
  id => [`{"order_id":"${id}"}`, 400, '/amount'],
  id => [`{"order_id":"${id}","amount":1,"amount":2}`, 400, '/amount'],
  id => [`{"order_id":"${id}!","amount":1}`, 400, '/order_id'],
  id => [`{"order_id":"${id}","amount":1,"region":"nowhere"}`, 400, '/region'],
  id => [`{"order_id":"${id}","amount":1,"note":"x"}`, 400, '/note'],
  id => [`{"order_id":"${id}","amount":1,"metadata":{"a":"${'x'.repeat(300_000)}"}}`, 413],
  () => ['{"order_id":"bulk-0","amount":99}', 409]
]

test('of 10,000 orders with 100 bad ones, a worker completes 9,900, and 100 have precise errors', {
  timeout: 120_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  await startService(space, 'worker', PATIENT)
  const lines = Array.from({ length: 10_000 }, (_, n) => {
    const bad = n % 100 === 99 && BAD[Math.floor(n / 100) % BAD.length]
    return bad ? bad(`bulk-${n}`) : ([lineOf(`bulk-${n}`), 202] as [string, number, string?])
  })
  const send = async () => {
    const answer = await fetch(`${api.url}/orders/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.map(([text]) => text).join('\n')
    })
    return linesOf<OrderResult>(await answer.text())
  }
  const seen = (await send()).map(({ index, status, problem }) => [
    index,
    status,
    problem?.errors?.[0]?.pointer
  ])
  expect(seen).toEqual(lines.map(([, status, pointer], index) => [index, status, pointer]))
  await until(
    'every good order is completed',
    async () => {
      const [row] = await space.sql<{ n: number }>(
        "SELECT COUNT(*) AS n FROM orders WHERE status = 'completed'"
      )
      return row?.n === 9900
    },
    60_000
  )
  const again = await send()
  expect(again.map(({ status }) => status)).toEqual(
    lines.map(([, status]) => (status === 202 ? 200 : status))
  )
  expect(await space.sql('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: 9900 }])
})

test('I8: an api that gets SIGTERM ends a batch with a 503 line at the first order that it did not take', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', { ...PATIENT, DRAIN_DELAY_MS: '1000' })
  const batch = await openBatch(api.url, `${lineOf('stop-0')}\n`)
  let sent = 1
  let isSending = true
  const sending = (async () => {
    for (; isSending && !batch.sent.destroyed; sent++) {
      batch.sent.write(`${lineOf(`stop-${sent}`)}\n`)
      if (sent % 50 === 0) await delay(1)
    }
  })()
  await until('some results', () => batch.results().length > 500)
  const stopped = api.end('SIGTERM')
  await batch.ended
  isSending = false
  await sending
  batch.sent.end()
  const results = batch.results()
  const last = results.pop() as OrderResult
  expect(last).toMatchObject({
    index: results.length,
    order_id: null,
    status: 503,
    problem: { type: 'urn:orderstream:problem:batch-stopped', retry_after: 1 }
  })
  expect(last.index).toBeLessThan(sent)
  expect(results.map(({ index, order_id, status }) => [index, order_id, status])).toEqual(
    results.map((_, n) => [n, `stop-${n}`, 202])
  )
  expect(await stopped).toEqual({ code: 0, signal: null })
  expect(await space.redis.exists(`{${space.env.KEY_PREFIX}:0}:doc:stop-${last.index}`)).toBe(0)
  expect(await space.redis.exists(`{${space.env.KEY_PREFIX}:0}:doc:stop-${last.index - 1}`)).toBe(1)
})

test('I8: a batch that has arrived in full when the stop begins is finished', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', { ...PATIENT, DRAIN_DELAY_MS: '500' })
  const stopped = api.end('SIGTERM')
  await until('the api is not ready', async () => (await fetch(`${api.url}/health/ready`)).status === 503)
  const answer = await fetch(`${api.url}/orders/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: Array.from({ length: 100 }, (_, n) => lineOf(`whole-${n}`)).join('\n')
  })
  const results = linesOf<OrderResult>(await answer.text())
  expect(results.map(({ status }) => status)).toEqual(new Array(100).fill(202))
  expect(await stopped).toEqual({ code: 0, signal: null })
})
