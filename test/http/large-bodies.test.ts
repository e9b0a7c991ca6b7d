import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp, type TestApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { open, post, request, statuses } from './raw.ts'

const space = await useSpace()
const MEGABYTE = 1024 * 1024
let api: TestApp
let port: number

beforeAll(async () => {
  api = await openApp(space, 'api', {
    ADMIN_TOKEN: 'sixteen characters',
    BODY_LIMIT_BYTES: 16_384
  })
  port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port)
})
afterAll(() => api.close())

const JSON_BODY = { 'content-type': 'application/json' }

test.each([
  [413, 'POST /orders', JSON_BODY],
  [401, 'POST /admin/dead-letters/redrive', JSON_BODY],
  [404, 'POST /nowhere', JSON_BODY],
  [405, 'PUT /orders', JSON_BODY],
  [415, 'POST /orders', { 'content-type': 'text/plain' }],
  [415, 'POST /orders', { ...JSON_BODY, 'content-encoding': 'gzip' }],
  [400, 'POST /orders', { ...JSON_BODY, host: 'a b' }]
])('a client that reads only after it has sent 4 MB gets the %i: %s %o', async (...given) => {
  const [status, line, headers] = given
  for (const framing of [{ 'content-length': 4 * MEGABYTE }, { 'transfer-encoding': 'chunked' }]) {
    const client = await open(port)
    client.socket.pause()
    client.socket.write(request(line, undefined, { ...headers, ...framing }))
    const chunk = 'x'.repeat(MEGABYTE)
    for (let n = 0; n < 4; n++)
      client.socket.write('transfer-encoding' in framing ? `100000\r\n${chunk}\r\n` : chunk)
    if (client.socket.writableNeedDrain) await once(client.socket, 'drain')
    client.socket.resume()
    const answers = await client.answers()
    expect(statuses(answers)).toEqual([status])
    expect(answers[0]?.headers.connection).toBe('close')
  }
})

test('fetch receives the 413 for a body of 4 MB', async () => {
  const body = JSON.stringify('x'.repeat(4 * MEGABYTE))
  const answer = await fetch(`http://127.0.0.1:${port}/orders`, { method: 'POST', headers: JSON_BODY, body })
  expect(answer.status).toBe(413)
})

test('the server reads only a bounded part of an endless body', async () => {
  const client = await open(port)
  client.socket.write(request('POST /orders', undefined, { ...JSON_BODY, 'content-length': 1e12 }))
  const chunk = 'x'.repeat(MEGABYTE)
  let sent = 0
  const send = async () => {
    for (; sent < 100; sent++) await write(client.socket, chunk)
  }
  // The server closes the connection.
  client.socket.on('error', () => {})
  await expect(send()).rejects.toThrow()
  expect(client.received()).toMatch(/^HTTP\/1\.1 413 /)
  expect(sent).toBeLessThan(50)
})

test('a connection stays open after a refused request with a small body', async () => {
  const client = await open(port)
  client.socket.write(request('PUT /orders', '{}', { 'content-length': 3000 }))
  client.socket.write(`${'x'.repeat(2998)}${post('after-refusal', { connection: 'close' })}`)
  expect(statuses(await client.answers())).toEqual([405, 202])
})

test('the server reads a body that arrives after its refusal, even with Connection: close', async () => {
  const client = await open(port)
  const headers = { ...JSON_BODY, 'content-length': 40_000, connection: 'close' }
  client.socket.write(request('POST /orders', undefined, headers))
  await once(client.socket, 'end')
  for (let n = 0; n < 40; n++) await write(client.socket, 'x'.repeat(1000))
  expect(statuses(await client.answers())).toEqual([413])
})

/** Writes bytes; resolves when they are sent. */
function write(socket: Socket, bytes: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, error => (error ? reject(error) : setImmediate(resolve)))
  })
}
