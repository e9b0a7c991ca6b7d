import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { postOrder, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const queue = `{${space.env.KEY_PREFIX}:0}:placed`

test('I8: a worker that gets SIGTERM under load exits with 0 and leaves no consumer and no message in flight', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  let sending = true
  const accepted: string[] = []
  const load = (async () => {
    for (let n = 0; sending; n++) {
      const id = `stop-${n}`
      if ((await postOrder(api.url, id, 1)).status === 202) accepted.push(id)
    }
  })()
  for (let round = 0; round < 3; round++) {
    const worker = await startService(space, 'worker', PATIENT)
    await until('the worker settles batches', () => worker.lines().some(({ msg }) => msg === 'batch settled'))
    expect(await worker.end('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(await space.redis.xinfo('CONSUMERS', queue, 'process-orders')).toEqual([])
    expect(await space.redis.xpending(queue, 'process-orders')).toEqual([0, null, null, null])
  }
  sending = false
  await load
  await startService(space, 'worker', PATIENT)
  await until('all messages are settled', async () => (await space.redis.xlen(queue)) === 0)
  const rows = await space.sql<{ order_id: string }>('SELECT order_id FROM orders')
  expect(rows.map(({ order_id }) => order_id).sort()).toEqual(accepted.sort())
})

test('an api that gets SIGTERM reports that it is not ready, answers requests in flight, and exits with 0', {
  timeout: 60_000
}, async () => {
  // The delay is long enough for the requests below. The grace period begins after the delay.
  const drain = { DRAIN_DELAY_MS: '5000', SHUTDOWN_GRACE_MS: '4000' }
  const api = await startService(space, 'api', { ...drain, ...PATIENT })
  const ended = api.end('SIGTERM')
  await until('the api is not ready', async () => (await fetch(`${api.url}/health/ready`)).status === 503)
  const late = await postOrder(api.url, 'late', 1)
  expect([late.status, late.headers.get('connection')]).toEqual([202, 'close'])
  expect(await ended).toEqual({ code: 0, signal: null })
  await expect(fetch(`${api.url}/health/ready`)).rejects.toThrow()
})

test('a client that keeps its connection open after its answer does not delay the stop', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  const socket = connect(api.port, '127.0.0.1').setEncoding('utf8')
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk
  })
  const body = JSON.stringify({ order_id: 'kept-open', amount: 1 })
  const head = [
    'POST /orders HTTP/1.1',
    'host: x',
    'content-type: application/json',
    `content-length: ${body.length}`
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, 5)}`)
  // When this answer arrives, the api has read the start of the request.
  await until('the request has begun', async () => (await fetch(`${api.url}/health/live`)).ok)
  const began = performance.now()
  const ended = api.end('SIGTERM')
  await until('new connections are refused', async () =>
    fetch(`${api.url}/health/live`).then(
      () => false,
      () => true
    )
  )
  socket.write(body.slice(5))
  await until('the request is answered', () => answer.includes(' 202 '))
  expect(await ended).toEqual({ code: 0, signal: null })
  expect(performance.now() - began).toBeLessThan(10_000)
  socket.destroy()
})
