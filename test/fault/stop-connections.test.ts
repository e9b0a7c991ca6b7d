import { expect, test } from 'vitest'
import { type Service, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'
import { open, type RawClient, request, statuses } from '../http/raw.ts'

const space = await useSpace()

const BODY = { 'content-type': 'application/json' }
const LIVE = request('GET /health/live')

const LARGE = 'a part of a large body'

/**
 * The bytes that each connection has sent when the stop begins, and the statuses that it has received when it is
 * closed.
 */
const SENT: Record<string, [bytes: string, answers: number[]]> = {
  nothing: ['', []],
  'an empty line': ['\r\n', []],
  'a whole request': [LIVE, [200]],
  'half a head': ['GET /health/live HTTP/1.1\r\nhost: x\r\n', [408]],
  'a whole request and half a head': [`${LIVE}GET /hea`, [200, 408]],
  'half a body': [`${request('DELETE /health', undefined, { ...BODY, 'content-length': 9 })}{`, [405]],
  [LARGE]: [request('POST /x', undefined, { ...BODY, 'content-length': 1e6 }), [404]]
}
const UNUSED = ['nothing', 'an empty line', 'a whole request']

async function openAll(port: number): Promise<Map<string, RawClient>> {
  const clients = new Map<string, RawClient>()
  for (const [what, [bytes, answers]] of Object.entries(SENT)) {
    const client = await open(port)
    client.socket.write(bytes)
    clients.set(what, client)
    const early = answers.filter(status => status !== 408)
    await until(`the answers to ${what}`, () => client.received().split('HTTP/1.1 ').length > early.length)
  }
  return clients
}

/** Waits until the service refuses new connections. */
const refusesMore = ({ port }: Service) =>
  until('new connections are refused', () =>
    open(port).then(
      ({ socket }) => void socket.destroy(),
      () => true
    )
  )

test.each([
  // The shorter limit ends requests that have not arrived in full.
  ['api', 'REQUEST_TIMEOUT_MS', { REQUEST_TIMEOUT_MS: '5000' }],
  ['worker', 'the grace', { SHUTDOWN_GRACE_MS: '3000', REQUEST_TIMEOUT_MS: '60000' }]
] as const)(
  'the %s closes unused connections at once, refuses requests that do not arrive within %s, and exits with 0',
  { timeout: 60_000 },
  async (mode, _limit, env) => {
    const service = await startService(space, mode, { ...PATIENT, ...env })
    const clients = await openAll(service.port)
    const began = performance.now()
    const ended = service.end('SIGTERM')
    const closed: string[] = []
    await Promise.all(
      [...clients].map(async ([what, client]) => {
        expect([what, statuses(await client.answers())]).toEqual([what, SENT[what]?.[1]])
        closed.push(what)
      })
    )
    // The connection of the large body was closed after its answer.
    const order = closed.filter(what => what !== LARGE)
    expect(order.slice(0, UNUSED.length).sort()).toEqual(UNUSED.toSorted())
    expect(await ended).toEqual({ code: 0, signal: null })
    // The service exits long before the other limit.
    expect(performance.now() - began).toBeLessThan(12_000)
  }
)

test('a second SIGTERM is ignored, and pipelined requests that have begun are answered', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  const client = await open(api.port)
  const orders = ['first', 'second'].map(id => request('POST /orders', { order_id: `stop-${id}`, amount: 1 }))
  client.socket.write(orders.join('').slice(0, 30))
  const ended = api.end('SIGTERM')
  await refusesMore(api)
  process.kill(api.pid, 'SIGTERM')
  await until('the signal is logged', () =>
    api.lines().some(({ msg }) => msg === 'signal ignored while closing')
  )
  client.socket.write(orders.join('').slice(30))
  const answers = await client.answers()
  expect(statuses(answers)).toEqual([202, 202])
  expect(answers.map(({ headers }) => headers.connection === 'close')).toEqual([false, true])
  expect(await ended).toEqual({ code: 0, signal: null })
})

test('a second Ctrl-C ends the process at once, as the log announces after the first Ctrl-C', {
  timeout: 60_000
}, async () => {
  const api = await startService(space, 'api', { ...PATIENT, DRAIN_DELAY_MS: '60000' })
  const ended = api.end('SIGINT')
  const hint = 'closing; a second Ctrl-C ends it at once'
  await until('the hint is logged', () => api.lines().some(({ msg }) => msg === hint))
  let hasEnded = false
  void ended.then(() => {
    hasEnded = true
  })
  // A signal right after the first counts as the same Ctrl-C.
  await until('the process has ended', () => {
    if (!hasEnded) process.kill(api.pid, 'SIGINT')
    return hasEnded
  })
  expect(await ended).toEqual({ code: 1, signal: null })
})
