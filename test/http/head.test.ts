import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApp, type TestApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { converse, post, request, statuses } from './raw.ts'

const space = await useSpace()
let api: TestApp
let port: number

beforeAll(async () => {
  api = await openApp(space, 'api', { ADMIN_TOKEN: 'sixteen characters' })
  port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port)
})
afterAll(() => api.close())

const END = { connection: 'close' }
const get = (target: string, headers: Record<string, string>) =>
  converse(port, request(`GET ${target}`, undefined, { ...headers, ...END }))

describe('a Host header', () => {
  test.each(['a b@/#', 'a/b', 'user@host', 'host:port', '[::zz]', '[::1', '%zz', 'b\u00fccher'])(
    'is refused when it is invalid: %s',
    async host => {
      const [answer] = await get('/health/live', { host })
      expect(answer?.status).toBe(400)
      expect(JSON.parse(answer?.body ?? '')).toMatchObject({ detail: expect.stringContaining('Host header') })
    }
  )

  test.each([
    '',
    'x',
    'x:80',
    'x:',
    'a_b.example',
    '127.0.0.1:3000',
    '[::1]',
    '[2001:db8::1]:80',
    'b%C3%BCcher'
  ])('is accepted when it is valid: "%s"', async host => {
    expect(statuses(await get('/health/live', { host }))).toEqual([200])
  })

  test('is refused when it appears twice, even with the same value', async () => {
    for (const Host of ['x', 'y'])
      expect(statuses(await get('/health/live', { host: 'x', Host }))).toEqual([400])
  })

  test('is also checked when the target has the absolute form', async () => {
    expect(statuses(await get('http://x:80/health/live', { host: 'x:80' }))).toEqual([200])
    expect(statuses(await get('http://x:80/health/live', { host: 'a b' }))).toEqual([400])
  })
})

describe('the server', () => {
  test.each(['gzip', 'br', 'identity, gzip'])('refuses Content-Encoding: %s', async coding => {
    const [answer] = await converse(port, post('coded', { 'content-encoding': coding, ...END }))
    expect([answer?.status, answer?.headers['accept-encoding']]).toEqual([415, 'identity'])
    const missing = await api.call('/orders/coded')
    expect(missing.statusCode).toBe(404)
  })

  test('accepts Content-Encoding: identity, and ignores the header without a body', async () => {
    const headers = { 'content-encoding': 'Identity', ...END }
    expect(statuses(await converse(port, post('plain', headers)))).toEqual([202])
    expect(statuses(await get('/health/live', { 'content-encoding': 'gzip' }))).toEqual([200])
  })

  test.each([
    ['gzip, chunked', 501],
    ['unknown, chunked', 501],
    ['gzip', 400],
    ['chunked, gzip', 400],
    ['identity', 400],
    ['Chunked', 202]
  ])('answers Transfer-Encoding: %s with %i', async (coding, status) => {
    const body = JSON.stringify({ order_id: 'transferred', amount: 1 })
    const headers = { 'content-type': 'application/json', 'transfer-encoding': coding, ...END }
    const bytes = `${request('POST /orders', undefined, headers)}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    expect(statuses(await converse(port, bytes))).toEqual([status])
  })

  test('refuses Transfer-Encoding with Content-Length, and in HTTP/1.0', async () => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
    const bytes = (more: object) => `${request('POST /orders', undefined, { ...headers, ...more })}0\r\n\r\n`
    expect(statuses(await converse(port, bytes({ 'content-length': 5 })))).toEqual([400])
    expect(statuses(await converse(port, bytes({}).replace('HTTP/1.1', 'HTTP/1.0')))).toEqual([400])
  })
})

describe('the router', () => {
  test.each(['FOO', 'get', 'POSTS', 'DESCRIBE'])('answers the unknown method %s with 501', async method => {
    const [answer] = await converse(port, request(`${method} /orders`))
    expect([answer?.status, answer?.headers.connection]).toEqual([501, 'close'])
    const { error_id } = JSON.parse(answer?.body ?? '')
    expect(api.log).toContainEqual(expect.objectContaining({ status: 501, error_id }))
  })

  test('answers CONNECT with 501, and closes the connection', async () => {
    const [answer] = await converse(port, 'CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n')
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({
      status: 501,
      detail: expect.stringContaining('CONNECT')
    })
  })

  test.each(['api', 'worker'] as const)(
    'answers 405 with the methods of the route, for every path of mode %s',
    async mode => {
      const { app, call, close } = mode === 'api' ? { ...api, close: undefined } : await openApp(space, mode)
      const { paths } = (await call('/openapi.json')).json()
      for (const path of Object.keys(paths)) {
        const url = path.replace(/\{[^}]+\}/g, 'some')
        for (const method of ['PATCH', 'OPTIONS', 'PROPFIND'] as const) {
          if (method === 'PATCH' && paths[path].patch) continue
          const answer = await call({
            method,
            url: `${url}?a=b`,
            payload: '{',
            headers: { 'content-type': 'text/x' }
          })
          expect([path, answer.statusCode]).toEqual([path, 405])
        }
        if (paths[path].get && mode === 'worker')
          expect((await call({ method: 'HEAD', url })).statusCode).toBe(200)
      }
      const page = await app.inject({ method: 'POST', url: '/docs/static/swagger-ui.css' })
      expect([page.statusCode, page.headers.allow]).toEqual([405, 'GET, HEAD'])
      await close?.()
    }
  )

  test('answers HEAD of an order like GET, without the body', async () => {
    await api.post({ order_id: 'headed', amount: 1 })
    const [got, headed] = [
      await api.call('/orders/headed'),
      await api.call({ method: 'HEAD', url: '/orders/headed' })
    ]
    expect([headed.statusCode, headed.headers['content-length']]).toEqual([
      200,
      got.headers['content-length']
    ])
    const redrive = await api.call({ method: 'HEAD', url: '/admin/dead-letters/redrive' })
    expect(redrive.headers.allow).toBe('POST')
  })
})
