import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, expect, inject, onTestFinished, test } from 'vitest'
import type { LocalStore } from '../../tools/local/redis.ts'
import { MASTER_NAME, startRedisWithSentinels } from '../../tools/local/redis-sentinel.ts'
import { ADMIN_TOKEN, completedIds, readAudit } from '../fault/evidence.ts'
import { acceptedIn, startLoad } from '../fault/load.ts'
import { startService } from '../harness/service.ts'
import { openSpace, until } from '../harness/space.ts'

const RATE = 50
const dir = await mkdtemp(join(tmpdir(), 'orderstream-sentinel-'))
const redis = await startRedisWithSentinels({ dir, replicas: 1, sentinels: 3 })
afterAll(async () => {
  await redis.stop()
  await rm(dir, { recursive: true, force: true, maxRetries: 5 })
})

const nodes = (servers: readonly LocalStore[]) => servers.map(({ host, port }) => ({ host, port }))

/** Returns the master that the sentinels name. */
async function masterNow(): Promise<LocalStore> {
  const [sentinel] = nodes(redis.sentinels)
  const client = new Redis({ ...sentinel, replyMapping: 'legacy' })
  try {
    const [, port] = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)) as [
      string,
      string
    ]
    return redis.servers.find(server => String(server.port) === port) as LocalStore
  } finally {
    client.disconnect()
  }
}

test.each<[string, NodeJS.Signals]>([
  ['killed', 'SIGKILL'],
  ['frozen', 'SIGSTOP']
])(
  'a master that is %s has its orders accepted in MySQL until the sentinels have replaced it',
  {
    timeout: 90_000
  },
  async (_how, signal) => {
    const stores = inject('stores')
    const old = await masterNow()
    const space = await openSpace({ ...stores, redis: old })
    space.redis.on('error', () => {})
    onTestFinished(() => space.close())
    Object.assign(space.env, {
      REDIS_HOST: 'nowhere.invalid',
      REDIS_SENTINELS: nodes(redis.sentinels)
        .map(({ host, port }) => `${host}:${port}`)
        .join(','),
      REDIS_SENTINEL_NAME: MASTER_NAME
    })
    const api = await startService(space, 'api', { ADMIN_TOKEN })
    await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, 'order')
    await until('orders flow', () => load.answers.length > RATE)

    process.kill(old.pid, signal)
    await until('orders are accepted in MySQL', () => load.answers.at(-1)?.durability === 'mysql')
    await until('another server is the master', async () => (await masterNow()) !== old)
    await until('orders go into Redis again', () => load.answers.at(-1)?.durability === 'fsync')
    if (signal === 'SIGSTOP') process.kill(old.pid, 'SIGCONT')
    else await redis.restart(redis.servers.indexOf(old))
    const answers = await load.stop()

    expect(answers.filter(({ status }) => status !== 202)).toEqual([])
    const audit = await until('no order is in flight', async () => {
      const now = await readAudit(api).catch(() => undefined)
      return now?.in_flight === 0 && now.retrying === 0 && now
    })
    const completed = new Set(await completedIds(space))
    // The replica may not have had the last orders of its master.
    const missing = acceptedIn(answers).filter(id => !completed.has(id))
    expect(audit).toMatchObject({ difference: 0, lost: missing.length })
  }
)
