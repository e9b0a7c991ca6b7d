import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { LocalStore } from '../../tools/local/redis.ts'
import { MASTER_NAME } from '../../tools/local/redis-sentinel.ts'
import { ADMIN_TOKEN, lostOf } from '../fault/evidence.ts'
import { acceptedIn, startLoad } from '../fault/load.ts'
import { useSentinels } from '../harness/sentinels.ts'
import { startService } from '../harness/service.ts'
import { openSpace, until } from '../harness/space.ts'

const RATE = 50
const redis = await useSentinels(3)

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

test.each<[string, string, NodeJS.Signals]>([
  ['killed', '1', 'SIGKILL'],
  ['killed', '1', 'SIGKILL'],
  ['frozen', '0', 'SIGSTOP']
])(
  'a master that is %s, where %s replicas must have an order, has its orders accepted in MySQL until it is replaced',
  {
    timeout: 90_000
  },
  async (_how, replicas, signal) => {
    const inRedis = replicas === '0' ? 'fsync' : 'replicated'
    const old = await masterNow()
    const space = await openSpace({ ...inject('stores'), redis: old })
    space.redis.on('error', () => {})
    onTestFinished(() => space.close())
    const addresses = nodes(redis.sentinels).map(({ host, port }) => `${host}:${port}`)
    Object.assign(space.env, {
      REDIS_HOST: 'nowhere.invalid',
      REDIS_SENTINELS: addresses.join(),
      REDIS_SENTINEL_NAME: MASTER_NAME,
      REDIS_MIN_REPLICAS: replicas
    })
    const api = await startService(space, 'api', { ADMIN_TOKEN })
    await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, 'order')
    await until('orders go into Redis', () => load.answers.at(-1)?.durability === inRedis)

    process.kill(old.pid, signal)
    await until('orders are accepted in MySQL', () => load.answers.at(-1)?.durability === 'mysql')
    await until('another server is the master', async () => (await masterNow()) !== old)
    // The new master has no replica yet.
    if (replicas === '0')
      await until('orders go into Redis again', () => load.answers.at(-1)?.durability === inRedis)
    if (signal === 'SIGSTOP') process.kill(old.pid, 'SIGCONT')
    else await redis.restart(redis.servers.indexOf(old))
    await until('orders go into Redis again', () => load.answers.at(-1)?.durability === inRedis)
    const answers = await load.stop()

    expect(answers.filter(({ status }) => status !== 202)).toEqual([])
    const lost = await lostOf(api, space, acceptedIn(answers))
    // Without the wait for a replica, the replica may not have had the last orders of its master.
    if (replicas === '1') expect(lost).toEqual([])
  }
)
