import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { COLUMNS } from '../../src/orders/tables/row.ts'
import { inParallel, type Service, startService } from '../harness/service.ts'
import { openSpace, PATIENT, type Space, until, useSpace } from '../harness/space.ts'
import { appendOrders, idsOf } from './bulk.ts'
import { ADMIN_TOKEN, eventIds, keyOf, look, untilAtRest } from './evidence.ts'
import { send } from './load.ts'
import { type StoreProxy, startProxy } from './proxy.ts'

const { env } = await useSpace()
const settle = createHash('sha1')
  .update(readFileSync(new URL('../../src/streams/group/settle.lua', import.meta.url)))
  .digest('hex')

/** Everything that the stores hold of orders: whatever a late worker did would show. */
async function holdings(space: Space) {
  const keys = (await space.keys()).filter(key => !key.includes(':rate:'))
  const documents = keys.filter(key => key.includes(':doc:'))
  return {
    rows: await look(space, 'SELECT * FROM orders ORDER BY order_id'),
    totals: await look(
      space,
      'SELECT SUM(processing), SUM(completed), SUM(failed), SUM(accepted), SUM(revenue) FROM order_totals'
    ),
    documents: documents.length > 0 ? await space.redis.mget(documents) : [],
    keys,
    events: await space.redis.xrange(keyOf(space, 'events'), '-', '+'),
    letters: await space.redis.xrange(keyOf(space, 'dead:process-orders'), '-', '+'),
    settled: await space.redis.hgetall(keyOf(space, 'settled')),
    waiting: await space.redis.xlen(keyOf(space, 'placed'))
  }
}

/** What became of the messages that a worker was given. */
async function messages({ url }: Service): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })).text()
  const lines = text.matchAll(
    /^orderstream_messages_total\{function="process-orders",outcome="(\w+)"[^}]*\} (\d+)$/gm
  )
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome, Number(count)]))
}

const beforeItsWrite = (_redis: StoreProxy, mysql: StoreProxy) =>
  mysql.holdAt(`INSERT INTO orders (${COLUMNS})`)
const beforeItsSettle = (redis: StoreProxy) => redis.holdAt(settle)

test.each([
  ['before it writes', beforeItsWrite],
  ['between its commit and its settle', beforeItsSettle]
])(
  'a worker paused past its lease, %s, wakes after another one has finished its batch, and changes nothing',
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

    // With the one behind them as many as a worker's first read asks for, so that they are one batch.
    const ids = idsOf('paused', 15)
    await inParallel(ids, 16, async id => {
      expect((await send(api.url, id)).status).toBe(202)
    })
    await appendOrders(space, ['known'], '99')
    const redis = await startProxy(Number(env.REDIS_PORT))
    const mysql = await startProxy(Number(env.DB_PORT))
    const reached = hold(redis, mysql)
    // As impatient as it is by default: it wakes to find its calls timed out as well.
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
    const before = await holdings(space)
    expect(before).toMatchObject({ waiting: 0, settled: { conflicts: '1' } })
    expect(before.letters).toHaveLength(1)
    expect(await eventIds(space)).toHaveLength(16)

    process.kill(paused.pid, 'SIGCONT')
    redis.release()
    mysql.release()
    await until('it knows that nothing of it is its own', async () => (await messages(paused)).left === 16)
    expect(await messages(paused)).toMatchObject({ done: 0, retried: 0, dead: 0 })
    expect(await holdings(space)).toEqual(before)

    // It is of use again: with the other one gone it works.
    expect((await other.end('SIGTERM')).code).toBe(0)
    expect((await send(api.url, 'afterwards')).status).toBe(202)
    expect(await untilAtRest(api)).toMatchObject({ completed: 17 })
    expect((await paused.end('SIGTERM')).code).toBe(0)
  }
)
