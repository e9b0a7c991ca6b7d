import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import type { Health } from '../../schema/http/health.ts'
import { startRedis } from '../../tools/local/redis.ts'
import { startService } from '../harness/service.ts'
import { NOWHERE, PATIENT, type Space, until } from '../harness/space.ts'
import { ADMIN_TOKEN, expectCompleted, untilAtRest } from './evidence.ts'
import { acceptedIn, idsIn, send, sendUntil } from './load.ts'
import { useOwnStores } from './own-stores.ts'
import { startProxy } from './proxy.ts'

const stores = await useOwnStores()

/** Makes Redis refuse writes, and makes it accept writes again. */
interface Refusal {
  begin: (redis: Redis) => Promise<unknown>
  end: (redis: Redis) => Promise<unknown>
}

/** The path to which a Redis saves its data. */
const dumpPath = async (redis: Redis) =>
  join(((await redis.config('GET', 'dir')) as string[])[1] as string, 'dump.rdb')

const refusals: [word: string, Refusal][] = [
  [
    'READONLY',
    {
      // No server listens at this address, so this Redis keeps its data.
      begin: redis => redis.replicaof('127.0.0.1', NOWHERE),
      end: redis => redis.replicaof('NO', 'ONE')
    }
  ],
  [
    'NOREPLICAS',
    {
      begin: redis => redis.config('SET', 'min-replicas-to-write', 1),
      end: redis => redis.config('SET', 'min-replicas-to-write', 0)
    }
  ],
  [
    'MISCONF',
    {
      begin: async redis => {
        await mkdir(await dumpPath(redis))
        await redis.config('SET', 'save', '3600 1')
        await redis.bgsave()
        await until('the save has failed', async () =>
          (await redis.info('persistence')).includes('rdb_last_bgsave_status:err')
        )
      },
      end: async redis => {
        await redis.config('SET', 'save', '')
        await rmdir(await dumpPath(redis))
      }
    }
  ]
]

test.each(refusals)(
  'I6: while Redis answers writes with %s, orders are read from Redis and accepted in MySQL',
  {
    timeout: 60_000
  },
  async (word, { begin, end }) => {
    const space = await stores.space()
    const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
    const waiting = await send(api.url, 'waiting')
    expect(waiting.durability).toBe('fsync')
    await begin(space.redis)
    await expect(space.redis.set('x', 'y')).rejects.toThrow(word)
    const spilled = await sendUntil(api.url, 'spilled', ({ durability }) => durability === 'mysql')
    await until('it counts as available', async () => {
      const health = (await (await fetch(`${api.url}/health`)).json()) as Health
      return health.services.redis === 'connected'
    })
    // The service reconnects when it finds a replica, and a read may fail meanwhile.
    const read = await until('the order that waits in Redis is read', async () => {
      const response = await fetch(`${api.url}/orders/waiting`)
      return response.status === 200 && response
    })
    expect([read.headers.get('x-cache'), await read.json()]).toEqual([
      'hit',
      expect.objectContaining({ status: 'processing' })
    ])
    await end(space.redis)
    await startService(space, 'worker', PATIENT)
    const later = await send(api.url, 'later')
    expect(later.status).toBe(202)
    await untilAtRest(api)
    const sent = [waiting, ...spilled, later]
    await expectCompleted(space, acceptedIn(sent), idsIn(sent))
  }
)

test('api and worker reconnect to the new master after a failover that closes no connection', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const env = { ADMIN_TOKEN, REDIS_PORT: String(proxy.port), ...PATIENT }
  const api = await startService(space, 'api', env)
  await startService(space, 'worker', env)
  const before = await send(api.url, 'before')
  expect(before.durability).toBe('fsync')
  await untilAtRest(api)

  const next = await startReplica(space)
  await next.redis.replicaof('NO', 'ONE')
  await space.redis.replicaof('127.0.0.1', next.port)
  proxy.moveTo(next.port)
  // Only the new master can accept orders.
  const after = await sendUntil(api.url, 'after', ({ durability }) => durability === 'fsync')
  await untilAtRest(api)
  const sent = [before, ...after]
  await expectCompleted({ ...space, redis: next.redis }, acceptedIn(sent), idsIn(sent))
  await space.redis.replicaof('NO', 'ONE')
})

/** Starts a replica of the space's Redis and waits until it is in sync. It stops when the running test ends. */
async function startReplica(space: Space): Promise<{ redis: Redis; port: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-replica-'))
  const server = await startRedis({ dir })
  const redis = new Redis({ port: server.port, replyMapping: 'legacy' })
  onTestFinished(async () => {
    redis.disconnect()
    await server.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  await redis.replicaof('127.0.0.1', Number(space.env.REDIS_PORT))
  await until('the replica is in sync', async () =>
    (await redis.info('replication')).includes('master_link_status:up')
  )
  return { redis, port: server.port }
}
