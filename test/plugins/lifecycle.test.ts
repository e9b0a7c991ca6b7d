import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('a request whose head is complete after the close begins is served, and its connection is closed', async () => {
  const { app } = await useApp(space, 'api')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const takesMore = () =>
    fetch(`${url}/health/live`).then(
      () => true,
      () => false
    )
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk
  })
  socket.write('GET /health/live HTTP/1.1\r\n')
  // This request is in flight when the stop begins.
  await until('the request is there', takesMore)
  const closed = app.close()
  await until('it accepts no more connections', async () => !(await takesMore()))
  socket.write('host: x\r\n\r\n')
  await until('the connection has ended', () => socket.closed)
  await closed
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer).toMatch(/^connection: close\r$/im)
})
