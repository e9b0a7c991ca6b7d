import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Audit } from '../../schema/http/audit.ts'
import { type LocalStore, startRedis } from '../../tools/local/redis.ts'
import { openApp, type TestApp } from '../harness/app.ts'
import { openSpace, type Space, until, useSpace } from '../harness/space.ts'
import { ADMIN_TOKEN, keyOf } from './evidence.ts'
import { useOwnStores } from './own-stores.ts'
import { startProxy } from './proxy.ts'

const stores = await useOwnStores()
const common = await useSpace()
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
const LIMIT = { timeout: 90_000 }

/** Opens apps in a space, and closes them when the running test ends. */
function appsOf(space: Space, overrides: Record<string, unknown> = {}) {
  const open = async (mode: 'api' | 'worker') => {
    const app = await openApp(space, mode, {
      ADMIN_TOKEN,
      LEASE_MS: 500,
      MAX_EVENT_LOOP_DELAY_MS: 0,
      ...overrides
    })
    onTestFinished(() => app.close())
    return app
  }
  return { api: () => open('api'), worker: () => open('worker') }
}

async function post(api: TestApp, name: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { statusCode, body } = await api.post({ order_id: `${name}-${n}`, amount: 1 })
    expect(statusCode, body).toBe(202)
  }
}

const auditOf = async (api: TestApp) => (await api.call({ url: '/admin/audit', headers })).json() as Audit

/** Waits until the audit has these figures. */
const untilAudit = (api: TestApp, figures: Partial<Audit>) =>
  expect.poll(() => auditOf(api).catch(String), { timeout: 30_000 }).toMatchObject(figures)

const acknowledge = (api: TestApp, reason: string) =>
  api.call({ method: 'POST', url: '/admin/audit/acknowledge', payload: { reason }, headers })

/** Starts a Redis for the running test. Stops it and deletes its data when the test ends. */
async function ownRedis(args: string[] = []): Promise<LocalStore & { dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-redis-'))
  const redis = await startRedis({ dir, args })
  onTestFinished(async () => {
    await redis.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return { ...redis, dir }
}

const kill = async (redis: LocalStore) => {
  process.kill(redis.pid, 'SIGKILL')
  await redis.exited
}

/** Opens a space with a Redis and its replica, behind a proxy that can switch from one to the other. */
async function replicated() {
  const master = await ownRedis()
  const replica = await ownRedis(['--replicaof', '127.0.0.1', String(master.port)])
  const proxy = await startProxy(master.port)
  const mysql = { host: '127.0.0.1', port: Number(common.env.DB_PORT) }
  const user = { user: common.env.DB_USER as string, password: common.env.DB_PASSWORD as string }
  const space = await openSpace({ redis: master, mysql: { ...mysql, ...user } })
  space.redis.on('error', () => {})
  onTestFinished(() => space.close().catch(() => {}))
  const other = space.redis.duplicate({ port: replica.port })
  onTestFinished(() => other.disconnect())
  await until('the replica is in sync', async () => (await other.info()).includes('master_link_status:up'))
  return {
    space,
    proxy,
    /** Stops the replication when the replica has all data. */
    cutOff: async () => {
      await until('the replica has everything', async () => (await space.redis.wait(1, 100)) === 1)
      await other.replicaof('NO', 'ONE')
    },
    failOver: async () => {
      proxy.moveTo(replica.port)
      await kill(master)
    },
    promoted: other
  }
}

test(
  'orders that a promoted replica never had count as lost until an operator acknowledges them',
  LIMIT,
  async () => {
    const { space, proxy, cutOff, failOver, promoted } = await replicated()
    const { api: openApi, worker } = appsOf(space, { REDIS_PORT: proxy.port })
    const api = await openApi()
    const early = await worker()
    await post(api, 'done', 5)
    await untilAudit(api, { completed: 5, in_flight: 0 })
    await early.close()
    await post(api, 'kept', 3)
    await cutOff()
    await post(api, 'lost', 10)
    await failOver()

    // No order arrives, so the check of the counter finds the loss.
    await untilAudit(api, { accepted: 18, in_flight: 3, lost: 10, difference: 0, redis_lost_data: true })
    expect((await api.call('/orders/lost-0')).statusCode).toBe(404)
    await until('the watermark is recorded', () =>
      api.log.find(({ msg }) => String(msg).startsWith('redis lost data'))
    )
    await api.close()

    const next = await openApi()
    await worker()
    await post(next, 'new', 2)
    const figures = { accepted: 20, completed: 10, in_flight: 0, lost: 10, difference: 0 }
    await untilAudit(next, { ...figures, lost_unacknowledged: 10, redis_lost_data: true })
    const metrics = await next.call({ url: '/metrics', headers: { accept: 'text/plain' } })
    expect(metrics.body).toMatch(/^orderstream_audit\{figure="lost"\} 10$/m)
    expect(metrics.body).toMatch(/^orderstream_audit\{figure="redis_lost_data"\} 1$/m)

    expect((await acknowledge(next, 'the failover of Monday')).json()).toEqual({ lost: 10 })
    await untilAudit(next, { ...figures, lost_unacknowledged: 0, redis_lost_data: false })
    expect((await acknowledge(next, 'again')).statusCode).toBe(409)
    expect(await space.sql('SELECT lost, reason, client FROM loss_acknowledgements')).toEqual([
      { lost: 10, reason: 'the failover of Monday', client: '127.0.0.1' }
    ])
    // The new epoch has its own counter, so no ordinal names two orders.
    expect(await promoted.hget(keyOf(space, 'accepted'), 'count')).toBe('2')

    // The loss does not hide another fault.
    await space.sql('UPDATE order_totals SET completed = completed - 1 WHERE completed > 0 LIMIT 1')
    await untilAudit(next, { lost: 10, difference: 1 })
  }
)

test(
  'orders with a row are not lost when their messages are lost, and orders with a second message count once',
  LIMIT,
  async () => {
    const { space, proxy, cutOff, failOver } = await replicated()
    const { api: openApi, worker } = appsOf(space, { REDIS_PORT: proxy.port })
    const api = await openApi()
    await post(api, 'kept', 3)
    await cutOff()
    const early = await worker()
    await post(api, 'done', 4)
    // A lost reply leaves a second message of an order. The other message has another body.
    for (const [amount, number] of [
      ['1', 8],
      ['2', 9]
    ]) {
      const data = { order_id: 'done-0', amount, tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
      const epoch = await space.redis.hget(keyOf(space, 'accepted'), 'epoch')
      const fields = [
        'v',
        '1',
        'request_id',
        '',
        'ordinal',
        `${epoch}:${number}`,
        'data',
        JSON.stringify(data)
      ]
      await space.redis.xadd(keyOf(space, 'placed'), '*', ...fields)
      await space.redis.hset(keyOf(space, 'accepted'), 'count', number as number)
    }
    const before = { accepted: 9, completed: 7, duplicates: 1, conflicts: 1, in_flight: 0, difference: 0 }
    await untilAudit(api, { ...before, lost: 0, redis_lost_data: false })
    await early.close()
    await post(api, 'lost', 6)
    await failOver()
    // The first accept finds the loss.
    await until('an order is accepted in Redis', async () => {
      const { headers } = await api.post({ order_id: `new-${Date.now()}`, amount: 1 })
      return headers.durability === 'fsync'
    })
    await worker()
    const outcomes = { duplicates: 1, conflicts: 1, in_flight: 0 }
    await untilAudit(api, { ...outcomes, lost: 6, difference: 0, redis_lost_data: true })
    expect((await api.call('/orders/kept-0')).json().status).toBe('completed')
  }
)

test('orders that are newer than a restored append-only file count as lost', LIMIT, async () => {
  const space = await stores.space()
  const { api: openApi, worker } = appsOf(space)
  const api = await openApi()
  await post(api, 'kept', 2)
  const [, dir] = (await space.redis.config('GET', 'dir')) as [string, string]
  const files = join(dir, 'appendonlydir')
  await cp(files, `${files}.old`, { recursive: true })
  await post(api, 'lost', 4)
  await stores.redis.kill()
  await rm(files, { recursive: true })
  await cp(`${files}.old`, files, { recursive: true })
  await stores.redis.start()
  await untilAudit(api, { accepted: 6, in_flight: 2, lost: 4, difference: 0, redis_lost_data: true })
  // The second restore is older than the epoch that the first loss began.
  await post(api, 'also-lost', 3)
  await stores.redis.kill()
  await rm(files, { recursive: true })
  await cp(`${files}.old`, files, { recursive: true })
  await stores.redis.start()
  await untilAudit(api, { accepted: 9, in_flight: 2, lost: 7, difference: 0, redis_lost_data: true })
  await worker()
  await untilAudit(api, { accepted: 9, completed: 2, in_flight: 0, lost: 7, difference: 0 })
})

test(
  'orders that waited during a flush count as lost, and the loss is recorded when MySQL is available again',
  LIMIT,
  async () => {
    const space = await stores.space()
    const { api: openApi, worker } = appsOf(space)
    const api = await openApi()
    const early = await worker()
    await post(api, 'done', 5)
    await untilAudit(api, { completed: 5, in_flight: 0 })
    await early.close()
    await post(api, 'lost', 6)
    await stores.mysql.kill()
    await space.redis.flushall()
    await until('Redis accepts orders', async () => {
      const { statusCode } = await api.post({ order_id: 'new', amount: 1 })
      return statusCode === 202 || statusCode === 200
    })
    await until('a new epoch begins', () => space.redis.hget(keyOf(space, 'accepted'), 'epoch'))
    await stores.mysql.start()
    await untilAudit(api, {
      accepted: 12,
      completed: 5,
      in_flight: 1,
      lost: 6,
      difference: 0,
      redis_lost_data: true
    })
    // The worker deletes outcomes that the audit no longer needs. The audit keeps its figures.
    await worker()
    await untilAudit(api, { accepted: 12, completed: 6, in_flight: 0, lost: 6, difference: 0 })
  }
)
