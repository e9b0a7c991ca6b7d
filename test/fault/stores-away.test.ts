import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createDatabase, startMariadb } from '../../src/local/mariadb.ts'
import { freePort } from '../../src/local/ports.ts'
import { startRedis } from '../../src/local/redis.ts'
import { postOrder, startService } from '../service.ts'
import { openSpace, until } from '../space.ts'

/** Stores of this test alone, on ports that stay theirs, so that they can go away and come back. */
async function ownStores() {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-stores-'))
  const ports = { redis: await freePort(), mysql: await freePort() }
  const startOwnRedis = async () => {
    const store = await startRedis({ dir: join(dir, 'redis'), port: ports.redis })
    onTestFinished(() => store.stop())
    return store
  }
  const startOwnMysql = async () => {
    const store = await startMariadb({ dir: join(dir, 'mariadb'), port: ports.mysql })
    onTestFinished(() => store.stop())
    return store
  }
  return { ports, startOwnRedis, startOwnMysql }
}

const health = async (url: string) => {
  const response = await fetch(`${url}/health`)
  return { code: response.status, ...((await response.json()) as { status: string }) }
}
const orderStatus = async (url: string, id: string) =>
  ((await (await fetch(`${url}/orders/${id}`)).json()) as { status: string }).status

test('a service that starts before its stores says so, and catches up when they come', {
  timeout: 90_000
}, async () => {
  const { startOwnRedis, startOwnMysql } = await ownStores()
  const redis = await startOwnRedis()
  const mysql = await startOwnMysql()
  await createDatabase(mysql, 'late')
  const space = await openSpace({ redis, mysql })
  await space.close()
  await Promise.all([redis.stop(), mysql.stop()])

  const api = await startService(space, 'api')
  await startService(space, 'worker')
  expect(await health(api.url)).toMatchObject({ code: 503, status: 'degraded' })
  expect((await postOrder(api.url, 'early', 1)).status).toBe(503)

  await startOwnRedis()
  await until('it is degraded but serves', async () => (await health(api.url)).code === 200)
  expect((await postOrder(api.url, 'first', 1)).status).toBe(202)
  await startOwnMysql()
  await until('it is healthy', async () => (await health(api.url)).status === 'healthy')
  await until('the order is completed', async () => (await orderStatus(api.url, 'first')) === 'completed')
  expect((await fetch(`${api.url}/orders/early`)).status).toBe(404)
})

test('each store can be killed and come back: orders go through again, earlier ones are still there', {
  timeout: 90_000
}, async () => {
  const { startOwnRedis, startOwnMysql } = await ownStores()
  let redis = await startOwnRedis()
  let mysql = await startOwnMysql()
  const space = await openSpace({ redis, mysql })
  await space.close()
  const api = await startService(space, 'api')
  await startService(space, 'worker', { LEASE_MS: '1000' })
  const completes = async (id: string) => {
    await until(`${id} is accepted`, async () =>
      [200, 202].includes((await postOrder(api.url, id, 1)).status)
    )
    await until(`${id} is completed`, async () => (await orderStatus(api.url, id)) === 'completed')
  }
  await completes('before')

  process.kill(redis.pid, 'SIGKILL')
  await redis.exited
  expect((await postOrder(api.url, 'no-redis', 1)).status).toBe(503)
  expect(await orderStatus(api.url, 'before')).toBe('completed')
  expect((await fetch(`${api.url}/orders/unknown`)).status).toBe(503)
  redis = await startOwnRedis()
  await completes('after-redis')

  process.kill(mysql.pid, 'SIGKILL')
  await mysql.exited
  await until('MySQL is found to be away', async () => (await health(api.url)).status === 'degraded')
  expect((await postOrder(api.url, 'no-mysql', 1)).status).toBe(202)
  expect(await orderStatus(api.url, 'before')).toBe('completed')
  expect(await orderStatus(api.url, 'no-mysql')).toBe('processing')
  mysql = await startOwnMysql()
  await completes('after-mysql')
  await until(
    'what waited is completed',
    async () => (await orderStatus(api.url, 'no-mysql')) === 'completed'
  )
})
