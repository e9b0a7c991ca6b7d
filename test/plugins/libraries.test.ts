import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('app.redis is the ioredis client that @fastify/redis documents', async () => {
  const { app } = await useApp(space, 'worker')
  await until('Redis is up', () => app.stores.redis.availability.up)
  const key = `${space.env.KEY_PREFIX}:own`
  expect(app.hasPlugin('@fastify/redis')).toBe(true)
  expect(await app.redis.set(key, 'value')).toBe('OK')
  expect(await app.redis.pipeline().get(key).del(key).exec()).toEqual([
    [null, 'value'],
    [null, 1]
  ])
  expect([app.redis === app.stores.redis.client, app.redis.status]).toEqual([true, 'ready'])
})

test('app.redis is there and states its connection while Redis is unavailable', async () => {
  const { app } = await useApp(space, 'worker', { REDIS_PORT: NOWHERE })
  expect(app.redis.status).not.toBe('ready')
  await expect(app.redis.get('x')).rejects.toThrow('redis is not available')
})

test('app.config is the configuration that @fastify/env resolves', async () => {
  const { app } = await useApp(space, 'worker')
  const config = space.config({ MODE: 'worker' })
  expect(app.hasPlugin('@fastify/env')).toBe(true)
  expect(app.config).toMatchObject({ TAX_RATE: config.TAX_RATE, MODE: 'worker', PORT: 0 })
  expect(app.getEnvs()).toBe(app.config)
})

test('app.httpErrors and app.assert answer with the status that @fastify/sensible documents', async () => {
  const { app } = await useApp(space, 'api')
  expect(app.hasPlugin('@fastify/sensible')).toBe(true)
  expect(app.httpErrors.notFound('It is not here.')).toMatchObject({
    statusCode: 404,
    message: 'It is not here.'
  })
  expect(() => app.assert(false, 409, 'It is taken.')).toThrow(
    expect.objectContaining({ statusCode: 409, message: 'It is taken.' })
  )
})
