import { once } from 'node:events'
import { expect, test } from 'vitest'
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
