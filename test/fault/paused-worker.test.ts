import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { PLAIN_COLUMNS } from '../../src/orders/tables/row.ts'
import { inParallel, type Service, startService } from '../harness/service.ts'
import { openSpace, PATIENT, type Space, until, useSpace } from '../harness/space.ts'
import { appendOrders, idsOf } from './bulk.ts'
import { ADMIN_TOKEN, eventIds, keyOf, queryRows, untilAtRest } from './evidence.ts'
import { send } from './load.ts'
import { type StoreProxy, startProxy } from './proxy.ts'

const { env } = await useSpace()
const settle = createHash('sha1')
  .update(readFileSync(new URL('../../src/streams/group/settle.lua', import.meta.url)))
  .digest('hex')

/** Reads all data about orders from both stores, to detect any effect of a late worker. */
async function readStores(space: Space) {
  const keys = (await space.keys()).filter(key => !key.includes(':rate:'))
  const documents = keys.filter(key => key.includes(':doc:'))
  return {
    rows: await queryRows(space, 'SELECT * FROM orders ORDER BY order_id'),
    totals: await queryRows(
      space,
      'SELECT SUM(processing), SUM(completed), SUM(failed), SUM(accepted), SUM(revenue) FROM order_totals'
    ),
    documents: documents.length > 0 ? await space.redis.mget(documents) : [],
    keys,
    events: await space.redis.xrange(keyOf(space, 'events'), '-', '+'),
    deadLetters: await space.redis.xrange(keyOf(space, 'dead:process-orders'), '-', '+'),
    settled: await space.redis.hgetall(keyOf(space, 'settled')),
    waiting: await space.redis.xlen(keyOf(space, 'placed'))
  }
}

/** Counts the messages of a worker by their outcome, from its metrics. */
async function countOutcomes({ url }: Service): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })).text()
  const lines = text.matchAll(
    /^orderstream_messages_total\{function="process-orders",outcome="(\w+)"[^}]*\} (\d+)$/gm
  )
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome, Number(count)]))
}

const beforeWrite = (_redis: StoreProxy, mysql: StoreProxy) =>
  mysql.holdAt(`INSERT INTO orders (${PLAIN_COLUMNS})`)
const beforeSettle = (redis: StoreProxy) => redis.holdAt(settle)

test.each([
  ['before it writes', beforeWrite],
  ['between its commit and its settlement', beforeSettle]
])(
  'a worker that is paused %s until another worker has finished its batch changes nothing when it continues',
  {
    timeout: 60_000
  },
  async (_where, hold) => {
    const space = await openSpace({
      redis: { host: env.REDIS_HOST as string, port: Number(env.REDIS_PORT) },
      mysql: {
        host: env.DB_HOST as string,
        port: Number(env.DB_PORT),
        user: env.DB_USER as string,
        password: env.DB_PASSWORD as string
      }
    })
    onTestFinished(() => space.close())
    const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
    const first = await startService(space, 'worker', PATIENT)
    expect((await send(api.url, 'known')).status).toBe(202)
    await untilAtRest(api)
    await first.end('SIGTERM')

    // These orders and the conflict fill the first read of a worker, so they are one batch.
    const ids = idsOf('paused', 15)
    await inParallel(ids, 16, async id => {
      expect((await send(api.url, id)).status).toBe(202)
    })
    await appendOrders(space, ['known'], '99')
    const redis = await startProxy(Number(env.REDIS_PORT))
    const mysql = await startProxy(Number(env.DB_PORT))
    const reached = hold(redis, mysql)
    // With the default store timeout, the calls of the paused worker have timed out when it continues.
    const ports = { REDIS_PORT: String(redis.port), DB_PORT: String(mysql.port) }
    const paused = await startService(space, 'worker', { ...ports, LEASE_MS: '1000' }, 'live')
    await reached
    process.kill(paused.pid, 'SIGSTOP')

    const other = await startService(space, 'worker', { LEASE_MS: '1000', ...PATIENT })
    const audit = await untilAtRest(api)
    expect(audit).toMatchObject({
      accepted: 17,
      completed: 16,
      conflicts: 1,
      dead_letters: 1,
      duplicates: 0
    })
    const before = await readStores(space)
    expect(before).toMatchObject({ waiting: 0, settled: { conflicts: '1' } })
    expect(before.deadLetters).toHaveLength(1)
    expect(await eventIds(space)).toHaveLength(16)

    process.kill(paused.pid, 'SIGCONT')
    redis.release()
    mysql.release()
    await until(
      'it has found that it owns none of its messages',
      async () => (await countOutcomes(paused)).left === 16
    )
    expect(await countOutcomes(paused)).toMatchObject({ done: 0, retried: 0, dead: 0 })
    expect(await readStores(space)).toEqual(before)

    // The paused worker still processes orders after the other worker has stopped.
    expect((await other.end('SIGTERM')).code).toBe(0)
    expect((await send(api.url, 'afterwards')).status).toBe(202)
    expect(await untilAtRest(api)).toMatchObject({ completed: 17 })
    expect((await paused.end('SIGTERM')).code).toBe(0)
  }
)
