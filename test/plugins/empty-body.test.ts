import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { startService } from '../service.ts'
import { useSpace } from '../space.ts'

const space = await useSpace()

/** What is answered to a request of these lines, which has neither a body nor a word of how long it is. */
async function answer(url: string, ...lines: string[]): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write([...lines, 'Host: localhost', 'Connection: close', '', ''].join('\r\n'))
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body }
}

test('a request that names the type of a body and has none is answered, and not waited for', async () => {
  const { url } = await startService(space, 'api')
  const json = 'Content-Type: application/json'

  const refused = await answer(url, 'POST /orders HTTP/1.1', json)
  expect(refused.status).toBe(400)
  expect(JSON.parse(refused.body)).toMatchObject({ status: 400, error_id: expect.any(String) })
  expect((await answer(url, 'POST /orders HTTP/1.1')).status).toBe(400)
  expect((await answer(url, 'POST /orders HTTP/1.1', 'Content-Type: text/plain')).status).toBe(400)
  expect((await answer(url, 'POST /nothing HTTP/1.1', json)).status).toBe(404)
  expect((await answer(url, 'GET /health/live HTTP/1.1', json)).status).toBe(200)
  expect((await answer(url, 'DELETE /orders/a HTTP/1.1', json)).status).toBe(404)
})
