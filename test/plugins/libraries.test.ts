import fastifyMysql from '@fastify/mysql'
import { expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('app.redis is the ioredis client that @fastify/redis documents', async () => {
  const { app } = await useApp(space, 'worker')
  await until('Redis is up', () => app.stores.redis.up())
  const key = `${space.env.KEY_PREFIX}:own`
  expect(app.hasPlugin('@fastify/redis')).toBe(true)
  expect(await app.redis.set(key, 'value')).toBe('OK')
  expect(await app.redis.pipeline().get(key).del(key).exec()).toEqual([
    [null, 'value'],
    [null, 1]
  ])
  expect([app.redis === app.stores.redis.client, app.redis.status]).toEqual([true, 'ready'])
})

test('app.redis exists and shows its connection state while Redis is unavailable', async () => {
  const { app } = await useApp(space, 'worker', { REDIS_PORT: NOWHERE })
  expect(app.redis.status).not.toBe('ready')
  await expect(app.redis.get('x')).rejects.toThrow('redis is not available')
})

test('app.mysql has the shape that @fastify/mysql documents, with the session settings of the service', async () => {
  const { app } = await useApp(space, 'worker')
  await until('MySQL is up', () => app.stores.mysql.availability.up)
  expect(fastifyMysql.isMySQLPromisePool(app.mysql)).toBe(true)
  await app.mysql.query('CREATE TABLE own (id INT PRIMARY KEY, n INT)')
  await app.mysql.execute('INSERT INTO own VALUES (?, ?)', [1, 2])
  const [rows] = await app.mysql.query('SELECT n, @@time_zone AS zone FROM own WHERE id = ?', [1])
  expect(rows).toEqual([{ n: 2, zone: '+00:00' }])
  const connection = await app.mysql.getConnection()
  await connection.beginTransaction()
  await connection.execute('UPDATE own SET n = ? WHERE id = ?', [3, 1])
  await connection.rollback()
  connection.release()
  await expect(app.mysql.query('INSERT INTO own VALUES (1, 1)')).rejects.toMatchObject({
    errno: 1062,
    code: 'ER_DUP_ENTRY'
  })
  expect(await app.stores.mysql.rows('SELECT n FROM own', [])).toEqual([{ n: 2 }])
  expect(app.mysql.format('SELECT ?, ??', [1, 'n'])).toBe('SELECT 1, `n`')
})

test('app.mysql resets a connection that was left in a transaction before its next use', async () => {
  const { app } = await useApp(space, 'worker', { DB_FUNCTION_POOL_SIZE: 1 })
  await until('MySQL is up', () => app.stores.mysql.availability.up)
  await app.mysql.query('CREATE TABLE left_open (id INT PRIMARY KEY)')
  const connection = await app.mysql.getConnection()
  await connection.query("SET time_zone = '+09:00'")
  await connection.beginTransaction()
  await connection.query('INSERT INTO left_open VALUES (1)')
  connection.release()
  await app.stores.mysql.transaction(({ run }) => run('INSERT INTO left_open VALUES (2)', []))
  const [rows] = await app.mysql.query('SELECT id, @@time_zone AS zone FROM left_open')
  expect(rows).toEqual([{ id: 2, zone: '+00:00' }])
})

test('app.mysql fails as unavailable within its timeout while MySQL hangs', async () => {
  const proxy = await startProxy(Number(space.env.DB_PORT))
  const { app } = await useApp(space, 'worker', { DB_PORT: proxy.port, STORE_TIMEOUT_MS: 100 })
  await until('MySQL is up', () => app.stores.mysql.availability.up)
  const connection = await app.mysql.getConnection()
  const idle = await app.mysql.getConnection()
  idle.release()
  await connection.beginTransaction()
  proxy.freeze()
  const calls = [
    connection.query('SELECT 1'),
    connection.execute('SELECT ?', [1]),
    app.mysql.query('SELECT 1')
  ]
  for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
    expect(reason).toBeInstanceOf(StoreUnavailable)
  // A function that ends its transaction after an error does this.
  await expect(connection.rollback()).rejects.toThrow(StoreUnavailable)
  connection.release()
  await until('it serves again', () => app.mysql.query('SELECT 1').catch(() => undefined))
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
