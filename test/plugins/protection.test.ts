import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { anyRoute } from '../../schema/http/response.ts'
import { useApp } from '../harness/app.ts'
import { postOrder, startService } from '../harness/service.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** Sends bytes, which may be invalid HTTP, and returns the answer. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  socket.write(bytes)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

describe('an answer', () => {
  test('has security headers and the request id, which is the id from the client if that is valid', async () => {
    const { call } = await useApp(space, 'api')
    const response = await call({ url: '/orders/none', headers: { 'x-request-id': 'client-7' } })
    expect(response.headers).toMatchObject({
      'x-request-id': 'client-7',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin'
    })
    const idFor = async (given: string) =>
      (await call({ url: '/orders/none', headers: { 'x-request-id': given } })).headers['x-request-id']
    expect(await idFor('x'.repeat(128))).toBe('x'.repeat(128))
    for (const hostile of ['x'.repeat(129), 'a b\tc', ''])
      expect(await idFor(hostile)).toMatch(/^[0-9a-f-]{36}$/)
  })

  test.each([
    ['', undefined],
    ['http://example.com', undefined],
    ['https://example.com/api', expect.stringContaining('max-age=')]
  ])('at PUBLIC_URL "%s" has Strict-Transport-Security only over HTTPS', async (PUBLIC_URL, expected) => {
    const { call } = await useApp(space, 'api', { PUBLIC_URL })
    expect((await call('/health/live')).headers['strict-transport-security']).toEqual(expected)
  })

  test.each(['/nope', '/orders?cursor=x', '/orders/', '/orders/%zz', '/docs/../etc'])(
    'to GET %s is a problem, not a page',
    async url => {
      const { call } = await useApp(space, 'api')
      const response = await call(url)
      expect([400, 404, 405]).toContain(response.statusCode)
      expect(response.headers['content-type']).toContain('application/problem+json')
    }
  )

  test.each([
    ['/docs/static/swagger-ui.css', { range: 'bytes=99999999-' }, 416],
    ['/docs/static/swagger-ui.css', { 'if-match': '"x"' }, 412],
    ['/docs/static/a%00b', {}, 403],
    [`/orders/${'x'.repeat(3000)}`, {}, 400]
  ])('to an invalid request is a 4xx: %s %o', async (url, headers, status) => {
    const { app } = await useApp(space, 'api')
    const response = await app.inject({ url, headers })
    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ status, error_id: expect.any(String) })
  })

  test('to an invalid URL has the usual headers and log line', async () => {
    const { call, log } = await useApp(space, 'api')
    const response = await call('/orders/%zz')
    expect(response.headers).toMatchObject({
      'x-request-id': expect.any(String),
      'x-content-type-options': 'nosniff'
    })
    const { error_id } = response.json()
    expect(log).toContainEqual(expect.objectContaining({ level: 30, status: 400, error_id }))
  })

  test.each([
    'GET / HTTP/1.1\r\n',
    'POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'
  ])('to a request that is incomplete after REQUEST_TIMEOUT_MS is a 408: %j', async bytes => {
    const { app } = await useApp(space, 'api', { REQUEST_TIMEOUT_MS: 200 })
    const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
    expect(await send(Number(port), bytes)).toContain('HTTP/1.1 408 ')
  })

  test.each([
    ['invalid HTTP', 'nonsense\r\n\r\n', 400, 'not a complete HTTP'],
    [
      'a head that is too long',
      `GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'longer than 16 KiB'
    ],
    ['too many headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(1001)}\r\n`, 431, 'more than 1000 headers']
  ])(
    'I9: to invalid bytes (%s) has an error id that the log has too',
    async (_what, bytes, status, detail) => {
      const { app, log } = await useApp(space, 'api')
      const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
      const answer = await send(Number(port), bytes)
      const problem = JSON.parse(answer.slice(answer.indexOf('{')))
      expect(answer).toContain(`HTTP/1.1 ${status} `)
      expect(problem).toMatchObject({
        status,
        type: 'urn:orderstream:problem:unreadable',
        detail: expect.stringContaining(detail)
      })
      expect(log).toContainEqual(expect.objectContaining({ status, error_id: problem.error_id }))
    }
  )

  test('I9: does not show the address or the error of an unavailable store', async () => {
    const { call } = await useApp(space, 'api', { REDIS_PORT: NOWHERE, DB_PORT: NOWHERE })
    const response = await call('/orders/none?a=secret')
    expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '1'])
    expect(response.body).not.toMatch(/127\.0\.0\.1|ECONN|redis|mysql|secret/i)
    expect(response.json()).toMatchObject({
      type: 'urn:orderstream:problem:unavailable',
      instance: '/orders/none'
    })
  })

  test('I9: shows only the id of an unexpected error, and the log has the details', async () => {
    const { call, log } = await useApp(space, 'api', {}, app => {
      app.get('/broken', { config: { scope: 'none' }, schema: { response: anyRoute } }, async () => {
        await app.stores.mysql.rows('SELECT total FROM orders WHERE no_such_column = ?', ['a secret'])
      })
    })
    const response = await call('/broken')
    expect(response.statusCode).toBe(500)
    expect(response.body).not.toMatch(/no_such_column|secret|SELECT|\borders\b|test_|127\.0\.0\.1|at /)
    const line = await until('the log line', () =>
      log.find(({ error_id }) => error_id === response.json().error_id)
    )
    expect(line).toMatchObject({
      level: 50,
      status: 500,
      request_id: response.headers['x-request-id'],
      err: { stack: expect.stringContaining('at ') }
    })
  })
})

test.each([
  [undefined, 500, 'The log has the reason'],
  [null, 500, 'The log has the reason'],
  ['plain text', 500, 'The log has the reason'],
  [{ statusCode: 404, message: 'No such sku.' }, 404, 'No such sku.']
])(
  'I9: a thrown value that is not an Error (%s) becomes a problem with an id that the log has too',
  async (...given) => {
    const [thrown, status, text] = given
    const { app, log } = await useApp(space, 'api', {}, app =>
      app.get('/thrown', { config: { scope: 'none' } }, async () => {
        throw thrown
      })
    )
    const response = await app.inject('/thrown')
    const { error_id, detail } = response.json()
    expect([response.statusCode, response.headers['content-type'], detail]).toEqual([
      status,
      'application/problem+json; charset=utf-8',
      expect.stringContaining(text)
    ])
    expect(log).toContainEqual(expect.objectContaining({ status, error_id }))
  }
)

test('I9: a request without Host gets a problem, and one with an unknown Expect header is served', async () => {
  const { app, log } = await useApp(space, 'api')
  const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  const refused = await send(port, 'GET /orders/none HTTP/1.1\r\nconnection: close\r\n\r\n')
  expect(refused).toMatch(/^HTTP\/1.1 400 .*"detail":"Send a Host header: HTTP\/1.1 wants one."/s)
  const [, error_id] = /"error_id":"([^"]+)"/.exec(refused) ?? []
  await until('the line', () => log.some(line => line.error_id === error_id && line.status === 400))
  const old = await send(port, 'GET /orders/none HTTP/1.0\r\n\r\n')
  expect(old).toMatch(/^HTTP\/1.1 404 /)
  const expecting = 'GET /orders/none HTTP/1.1\r\nhost: x\r\nexpect: the-moon\r\nconnection: close\r\n\r\n'
  expect(await send(port, expecting)).toMatch(/^HTTP\/1.1 404 /)
})

describe('the log', () => {
  test('has a line without a status for each request whose client closes before the answer', async () => {
    const answer = Promise.withResolvers<string>()
    let inFlight = 0
    const { app, log } = await useApp(space, 'api', {}, app => {
      app.get('/slow', { config: { scope: 'none' } }, () => {
        inFlight++
        return answer.promise
      })
    })
    const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
    const socket = connect(Number(port), '127.0.0.1')
    for (const id of ['gone-1', 'gone-2'])
      socket.write(`GET /slow HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\n\r\n`)
    await until('both are in flight', () => inFlight === 2)
    // A client that closes only its side may still wait for its answers.
    socket.resetAndDestroy()
    const lines = await until('the lines', () => {
      const found = log.filter(({ msg }) => msg === 'client gone before its answer')
      return found.length === 2 && found
    })
    expect(lines).toEqual(['gone-1', 'gone-2'].map(request_id => expect.objectContaining({ request_id })))
    for (const line of lines) expect(line).not.toHaveProperty('status')
    answer.resolve('too late')
  })

  test('has no error for a client that resets the connection after it has sent an order', async () => {
    const api = await startService(space, 'api')
    const body = JSON.stringify({ order_id: 'reset', amount: 1 })
    for (let n = 0; n < 20; n++) {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
      await once(socket, 'connect')
      const head = `POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`
      socket.write(`${head}\r\n\r\n${body}`, () => socket.resetAndDestroy())
      await once(socket, 'close')
    }
    await postOrder(api.url, 'not-reset', 1)
    await until('the last line', () => api.lines().some(({ order_id }) => order_id === 'not-reset'))
    expect(api.lines().filter(({ status, error_id }) => status === 500 || error_id)).toEqual([])
  })

  test('has one line for each request, with request id, trace id and order id', async () => {
    const { post, log } = await useApp(space, 'api')
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    await post(
      { order_id: 'logged', amount: 1 },
      { 'x-request-id': 'req-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
    )
    await until('the line', () => log.some(({ request_id }) => request_id === 'req-1'))
    expect(log.filter(({ request_id }) => request_id === 'req-1')).toEqual([
      expect.objectContaining({
        level: 30,
        method: 'POST',
        url: '/orders',
        status: 202,
        order_id: 'logged',
        trace_id: traceId,
        ms: expect.any(Number)
      })
    ])
  })

  test('has the ids of requests to a worker', async () => {
    const api = await useApp(space, 'api')
    await api.post({ order_id: 'followed', amount: 1 }, { 'x-request-id': 'req-2' })
    const worker = await useApp(space, 'worker')
    const line = await until('the worker’s line', () =>
      worker.log.find(({ request_ids }) => (request_ids as string[] | undefined)?.includes('req-2'))
    )
    expect(line).toMatchObject({ function: 'process-orders', msg: 'batch settled' })
  })
})
