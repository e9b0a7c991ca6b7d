import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/ports.ts'
import { useApp } from '../app.ts'
import { useSpace } from '../space.ts'

const space = await useSpace()

/** A server that does that with each connection; resolves to its port. */
async function serve(answer: (socket: Socket) => void): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    answer(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return String((server.address() as AddressInfo).port)
}

/** Hands everything on to the Redis of this run, which takes every script for a mistake: one of before 7.0 does. */
function withoutFlags(socket: Socket) {
  const redis = connect(Number(space.env.REDIS_PORT), space.env.REDIS_HOST)
  socket.once('close', () => redis.destroy())
  redis.on('error', () => {})
  redis.pipe(socket)
  socket.on('data', bytes => {
    if (/eval/i.test(String(bytes)))
      socket.write("-ERR Error compiling script: unexpected symbol near '#'\r\n")
    else redis.write(bytes)
  })
}

test.each([
  ['nothing listens there', freePort, 'ECONNREFUSED'],
  [
    'another service listens there',
    () => serve(socket => socket.end('HTTP/1.1 200 OK\r\n\r\n')),
    'Unknown RESP type'
  ],
  ['it is too old', () => serve(withoutFlags), 'older than 7.0']
])('the log says why Redis is away: %s', async (_what, port, reason) => {
  const { log } = await useApp(space, 'api', { REDIS_PORT: String(await port()) })
  const line = log.find(({ msg }) => msg === 'redis is not available')
  expect(line).toMatchObject({ err: { message: expect.stringContaining(reason) } })
})

test('an address as REDIS_HOST is no name for TLS to ask for, of which Node.js warns', async () => {
  const warnings: string[] = []
  const note = ({ message }: Error) => warnings.push(message)
  process.on('warning', note)
  onTestFinished(() => {
    process.off('warning', note)
  })
  await useApp(space, 'api', { REDIS_TLS: 'true' })
  expect(warnings).toEqual([])
})
