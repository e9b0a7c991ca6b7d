import { once } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { useApp } from '../app.ts'
import { startProxy } from '../fault/proxy.ts'
import { until, useSpace } from '../space.ts'

const space = await useSpace()
const key = `{${space.env.KEY_PREFIX}:0}:calls`

test('a call that was given up never happens: none waits for a connection', async () => {
  const { redis } = (await useApp(space, 'api')).app
  redis.client.disconnect(true)
  await once(redis.client, 'close')
  await expect(redis.run(client => client.incr(key))).rejects.toBeInstanceOf(StoreUnavailable)
  await until('it is connected again', () => redis.availability.check())
  expect(await space.redis.get(key)).toBe(null)
})

test('a call whose answer a broken connection took along is not sent again', async () => {
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const { redis } = (await useApp(space, 'api', { REDIS_PORT: proxy.port })).app
  proxy.freeze()
  const call = expect(redis.run(client => client.incr(key))).rejects.toBeInstanceOf(StoreUnavailable)
  redis.client.disconnect(true)
  await call
  await until('it is connected again', () => redis.availability.check())
  expect(await space.redis.get(key)).toBe(null)
})

test('a server that stays a replica is left less and less often, and at once when it had not been one for long', async () => {
  const { redis } = (await useApp(space, 'api')).app
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
