import { expect, test } from 'vitest'
import { type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
/** A release waits for several times this timeout. */
const env = { ADMIN_TOKEN, STORE_TIMEOUT_MS: 1000 }
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
const NEXT = `${space.env.KEY_PREFIX}.next`

const release = ({ call }: TestApp) => call({ method: 'POST', url: '/admin/redis/release', headers })
const auditOf = async ({ call }: TestApp) => (await call({ url: '/admin/audit', headers })).json()
const durabilityOf = async ({ post }: TestApp, order_id: string) =>
  (await post({ order_id, amount: 1 })).headers.durability
const isUp = ({ app }: TestApp) => app.stores.redis.check()
const untilMysqlIsUp = ({ app }: TestApp) =>
  until('MySQL is up', () => app.stores.orders.availability.check())
const untilCompleted = (count: number) =>
  until('all orders are completed', async () => {
    const rows = await space.sql("SELECT id FROM orders WHERE status = 'completed'")
    return rows.length === count
  })

test('another KEY_PREFIX is refused while orders wait, and used after a release', {
  timeout: 90_000
}, async () => {
  const old = await useApp(space, 'api', env)
  await until('Redis is in use', () => isUp(old))
  expect(await durabilityOf(old, 'waits')).toBe('fsync')
  const next = await useApp(space, 'api', { ...env, KEY_PREFIX: NEXT })
  await untilMysqlIsUp(next)
  expect(await isUp(next)).toBe(false)
  const health = (await next.call('/health')).json()
  expect(health.services.redis).toBe('disconnected')
  const sentence = `the orders of this database are in Redis under KEY_PREFIX=${space.env.KEY_PREFIX} and REDIS_CLUSTER=false`
  expect(next.log.some(({ err }) => (err as Error)?.message.includes(sentence))).toBe(true)
  expect(health.warnings).toEqual([expect.stringContaining(sentence)])
  expect(await durabilityOf(next, 'spilled')).toBe('mysql')

  const refused = await release(old)
  expect([refused.statusCode, refused.json().type]).toEqual([409, expect.stringContaining('release-refused')])
  expect(refused.json().detail).toContain('partition 0 still has 1 messages')
  expect(await durabilityOf(old, 'waits-too')).toBe('fsync')
  await useApp(space, 'worker')
  await untilCompleted(3)
  await until('nothing waits', async () => (await release(old)).statusCode === 200)

  // The running processes with the old settings accept in MySQL, where a worker of any settings finds the orders.
  expect(await isUp(old)).toBe(false)
  expect(await durabilityOf(old, 'late')).toBe('mysql')
  await until('the new settings are in use', () => isUp(next))
  expect(await durabilityOf(next, 'moved')).toBe('fsync')
  await useApp(space, 'worker', { KEY_PREFIX: NEXT })
  await untilCompleted(5)
  await until('the audit balances', async () => (await auditOf(next)).in_flight === 0)
  expect(await auditOf(next)).toMatchObject({
    accepted: 5,
    completed: 5,
    difference: 0,
    lost: 0,
    redis_lost_data: false
  })
  expect(next.log.filter(({ msg }) => String(msg).includes('lost data'))).toEqual([])

  // The way back is the same.
  await until('nothing waits', async () => (await release(next)).statusCode === 200)
  const again = await useApp(space, 'api', env)
  await until('the old settings are in use', () => isUp(again))
  expect(await durabilityOf(again, 'back')).toBe('fsync')
  await untilCompleted(6)
  expect(await auditOf(again)).toMatchObject({
    accepted: 6,
    completed: 6,
    difference: 0,
    redis_lost_data: false
  })
})

test('a release is refused while a function has unsettled events, and by an api with other settings', async () => {
  const api = await useApp(space, 'api', env)
  await until('Redis is in use', () => isUp(api))
  const events = api.app.keys.stream('events', 0)
  const id = (await space.redis.xadd(events, '*', 'v', '1', 'data', '{}')) as string
  await space.redis.xgroup('CREATE', events, 'send-receipt', '0')
  const pending = await space.redis.xlen(events)
  const refused = await release(api)
  expect([refused.statusCode, refused.json().detail]).toEqual([
    409,
    expect.stringContaining(`${pending} messages, 0 retries and 0 dead letters of send-receipt`)
  ])
  await space.redis.xgroup('DESTROY', events, 'send-receipt')
  await space.redis.xdel(events, id)
  const other = await useApp(space, 'api', { ...env, KEY_PREFIX: NEXT })
  await untilMysqlIsUp(other)
  const { statusCode, json } = await release(other)
  expect([statusCode, json().detail]).toEqual([
    409,
    expect.stringContaining('Ask an api with the settings in use')
  ])
})

test('a release that finds a new order changes nothing', { timeout: 30_000 }, async () => {
  const { redis, sql } = space
  const api = await useApp(space, 'api', env)
  await until('Redis is in use', () => isUp(api))
  const { keys } = api.app
  const releasing = release(api)
  await until('the release has begun', async () =>
    (await redis.get(keys.partitionCount()))?.includes('released')
  )
  const message = await redis.xadd(keys.stream('placed', 0), '*', 'v', '1')
  const { statusCode, json } = await releasing
  expect([statusCode, json().detail]).toEqual([
    409,
    expect.stringMatching(/have arrived since the release began|still has 1 messages/)
  ])
  await redis.xdel(keys.stream('placed', 0), message as string)
  await until('Redis is in use again', () => isUp(api))
  expect(await durabilityOf(api, 'after')).toBe('fsync')
  expect(await sql('SELECT state FROM redis_layout')).toEqual([{ state: 'used' }])
})

test('a release that died is undone by the next one, while an order waits', { timeout: 30_000 }, async () => {
  const api = await useApp(space, 'api', env)
  const { keys } = api.app
  await until('Redis is in use', () => isUp(api))
  const message = (await space.redis.xadd(keys.stream('placed', 0), '*', 'v', '1')) as string
  // The state that a killed api leaves behind.
  await space.sql("UPDATE redis_layout SET state = 'releasing'")
  await space.redis.set(keys.partitionCount(), 'released:1')
  await space.redis.hset(keys.accepted(0), 'released', '1')
  expect(await isUp(api)).toBe(false)
  expect((await release(api)).statusCode).toBe(409)
  await space.redis.xdel(keys.stream('placed', 0), message)
  await until('Redis is in use again', () => isUp(api))
  expect(await durabilityOf(api, 'after-undo')).toBe('fsync')
  expect(await space.sql('SELECT state FROM redis_layout')).toEqual([{ state: 'used' }])
})

test('a process that starts does not open keys that were released and left', async () => {
  const api = await useApp(space, 'api', env)
  const { keys } = api.app
  await until('Redis is in use', () => isUp(api))
  // MySQL has the same settings, which are in use on another Redis.
  await space.redis.set(keys.partitionCount(), 'released:1')
  const old = await useApp(space, 'api', env)
  await untilMysqlIsUp(old)
  expect(await isUp(old)).toBe(false)
  expect(await durabilityOf(old, 'not-in-the-old-redis')).toBe('mysql')
  expect(await space.redis.get(keys.partitionCount())).toBe('released:1')
  await space.redis.set(keys.partitionCount(), 1)
})

test('an api with another number of partitions releases nothing, since it does not know all keys', async () => {
  const api = await useApp(space, 'api')
  await until('Redis is in use', () => isUp(api))
  const message = await space.redis.xadd(api.app.keys.stream('placed', 0), '*', 'v', '1')
  const other = await useApp(space, 'api', { ...env, STREAM_PARTITIONS: 2 })
  await untilMysqlIsUp(other)
  const { statusCode, json } = await release(other)
  expect([statusCode, json().detail]).toEqual([409, expect.stringContaining('but 1 partitions are in use')])
  await space.redis.xdel(api.app.keys.stream('placed', 0), message as string)
})

test('a process that starts without MySQL uses keys that were in use, and no others', async () => {
  const { KEY_PREFIX } = space.env
  const known = await useApp(space, 'api', { DB_PORT: NOWHERE })
  expect(await durabilityOf(known, 'without-mysql')).toBe('fsync')
  await space.redis.del(known.app.keys.document('without-mysql'), known.app.keys.stream('placed', 0))
  const unknown = await useApp(space, 'api', { DB_PORT: NOWHERE, KEY_PREFIX: `${KEY_PREFIX}.unknown` })
  expect((await unknown.post({ order_id: 'refused', amount: 1 })).statusCode).toBe(503)
})

test('a process that has not noticed the release accepts nothing in Redis', async () => {
  const api = await useApp(space, 'api')
  const accepted = api.app.keys.accepted(0)
  await space.redis.hset(accepted, 'released', '1')
  expect(await durabilityOf(api, 'unaware')).toBe('mysql')
  await space.redis.hdel(accepted, 'released')
  expect(await durabilityOf(api, 'aware')).toBe('fsync')
})
