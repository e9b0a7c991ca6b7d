import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../../tools/local/redis.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('a Redis that refuses the password of a running process is reported once in the log, and in health', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-password-'))
  const server = await startRedis({ dir, args: ['--requirepass', 'old'] })
  onTestFinished(async () => {
    await server.stop()
    await rm(dir, { recursive: true })
  })
  const { app, call, log } = await useApp(space, 'api', { REDIS_PORT: server.port, REDIS_PASSWORD: 'old' })
  await until('Redis is up', () => app.stores.redis.check())
  const admin = new Redis({ port: server.port, password: 'old' })
  await admin.config('SET', 'requirepass', 'new')
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  admin.disconnect()
  // A call without a connection usually finds the refusal first.
  const lost = await until('a call finds no connection', () =>
    app.stores.redis
      .run(client => client.get('x'))
      .then(
        () => undefined,
        (error: Error) => error
      )
  )
  expect(lost.message).not.toContain('Stream')

  const lines = () =>
    log.filter(
      ({ err, msg }) =>
        msg === 'redis is not available' &&
        (err as Error).message.includes(
          'authentication failed, see REDIS_USERNAME and REDIS_PASSWORD: WRONGPASS'
        )
    )
  await until('the log names the password', () => lines().length > 0)
  const warned = await until('health names the password', async () => {
    const { warnings } = (await call('/health')).json()
    return warnings?.includes(
      'redis refuses the credentials of this process: see REDIS_USERNAME and REDIS_PASSWORD, and restart it.'
    )
  })
  expect(warned).toBe(true)
  for (let n = 0; n < 5; n++) await app.stores.redis.check()
  expect(lines()).toHaveLength(1)
})

test('a MySQL that refuses the password is reported in the log and in health', async () => {
  const { call, log } = await useApp(space, 'api', { DB_PASSWORD: 'wrong' })
  await until('the log names the password', () =>
    log.some(({ err }) => String((err as Error | undefined)?.message).includes('see DB_USER and DB_PASSWORD'))
  )
  const { warnings } = (await call('/health')).json()
  expect(warnings).toContainEqual(expect.stringContaining('mysql refuses the credentials'))
})

test('a process that uses all connections of its user accepts orders, and is healthy', async () => {
  const user = `${space.env.DB_NAME}_2`
  await space.sql(`CREATE USER '${user}'@'%' IDENTIFIED BY 'word' WITH MAX_USER_CONNECTIONS 2`)
  await space.sql(`GRANT ALL ON ${space.env.DB_NAME}.* TO '${user}'@'%'`)
  onTestFinished(async () => void (await space.sql(`DROP USER '${user}'@'%'`)))
  const { app, post, call } = await useApp(space, 'api', {
    DB_USER: user,
    DB_PASSWORD: 'word',
    DB_POOL_SIZE: 2
  })
  await until('MySQL is up', () => app.stores.mysql.availability.up)
  expect((await post({ order_id: 'limited', amount: 1 })).statusCode).toBe(202)
  const health = (await call('/health')).json()
  expect([health.status, health.warnings]).toEqual(['healthy', undefined])
  // The user cannot open another session for a trial write.
  expect(await app.stores.mysql.availability.takesWrites()).toBe(false)
})
