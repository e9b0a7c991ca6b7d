import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const key = `{${space.env.KEY_PREFIX}:0}:calls`

/** Starts a server that calls `answer` with each connection; resolves to its port. */
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

/** Forwards everything to the Redis of this run and refuses every script, as a Redis before 7.0 does. */
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
  ['nothing listens there', async () => NOWHERE, 'ECONNREFUSED'],
  [
    'another service listens there',
    () => serve(socket => socket.end('HTTP/1.1 200 OK\r\n\r\n')),
    'Unknown RESP type'
  ],
  ['it is too old', () => serve(withoutFlags), 'older than 7.0']
])('the log has the reason why Redis is unavailable: %s', async (_what, port, reason) => {
  const { log } = await useApp(space, 'api', { REDIS_PORT: String(await port()) })
  const line = log.find(({ msg }) => msg === 'redis is not available')
  expect(line).toMatchObject({ err: { message: expect.stringContaining(reason) } })
})

test('TLS sends no server name when REDIS_HOST is an IP address, so Node.js does not warn', async () => {
  const warnings: string[] = []
  const record = ({ message }: Error) => warnings.push(message)
  process.on('warning', record)
  onTestFinished(() => {
    process.off('warning', record)
  })
  await useApp(space, 'api', { REDIS_TLS: 'true' })
  expect(warnings).toEqual([])
})

test('a call without a connection fails at once, and is not sent later', async () => {
  const { redis } = (await useApp(space, 'api')).app.stores
  redis.client.disconnect(true)
  await once(redis.client, 'close')
  await expect(redis.run(client => client.incr(key))).rejects.toBeInstanceOf(StoreUnavailable)
  await until('it is connected again', () => redis.check())
  expect(await space.redis.get(key)).toBe(null)
})

test('a call whose connection breaks before the answer is not sent again', async () => {
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const { redis } = (await useApp(space, 'api', { REDIS_PORT: proxy.port })).app.stores
  proxy.freeze()
  const call = expect(redis.run(client => client.incr(key))).rejects.toBeInstanceOf(StoreUnavailable)
  redis.client.disconnect(true)
  await call
  await until('it is connected again', () => redis.check())
  expect(await space.redis.get(key)).toBe(null)
})

test('a probe fails when its connection breaks before Redis has reported its settings', async () => {
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const { redis } = (await useApp(space, 'api', { REDIS_PORT: proxy.port })).app.stores
  expect(redis.up()).toBe(true)
  const held = proxy.holdAt('maxmemory-policy')
  const found = redis.check()
  await held
  redis.client.disconnect(true)
  expect(await found).toBe(false)
  proxy.release()
  await until('it is back', () => redis.up())
})

test('a Redis that forbids CONFIG is used, and counts as not durable', async () => {
  const REDIS_USERNAME = space.env.KEY_PREFIX as string
  await space.redis.call('ACL', 'SETUSER', REDIS_USERNAME, 'on', '>word', '~*', '&*', '+@all', '-config')
  onTestFinished(async () => {
    await space.redis.call('ACL', 'DELUSER', REDIS_USERNAME)
  })
  const { redis } = (await useApp(space, 'api', { REDIS_USERNAME, REDIS_PASSWORD: 'word' })).app.stores
  expect(redis.up()).toBe(true)
  expect(redis.masterOf(0).facts()).toMatchObject({ durability: 'memory', evicts: false, replicas: 0 })
})

test('a client leaves a replica at once, and waits longer each time that it gets a replica again', async () => {
  const { redis } = (await useApp(space, 'api')).app.stores
  const leave = redis.client.options.reconnectOnError
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const leaves = (word: string, after: number) => {
    now += after
    return leave?.(Object.assign(new Error(`${word} so it is`), { name: 'ReplyError' }))
  }
  expect(leaves('OOM', 0)).toBe(false)
  expect(leaves('READONLY', 0)).toBe(true)
  for (const stay of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    expect([leaves('READONLY', stay - 1), leaves('READONLY', 1)]).toEqual([false, true])
  }
  expect(leaves('READONLY', 60_001)).toBe(true)
  expect(leaves('READONLY', 1000)).toBe(true)
})
