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

/** How a Redis comes to take no writes, and how to it takes them again. */
interface Refusal {
  begin: (redis: Redis) => Promise<unknown>
  end: (redis: Redis) => Promise<unknown>
}

/** Where that Redis would save its data to. */
const dump = async (redis: Redis) =>
  join(((await redis.config('GET', 'dir')) as string[])[1] as string, 'dump.rdb')

const refusals: [word: string, Refusal][] = [
  [
    'READONLY',
    {
      // Nothing is its master, so it keeps what it has.
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
        await mkdir(await dump(redis))
        await redis.config('SET', 'save', '3600 1')
        await redis.bgsave()
        await until('it has failed to save', async () =>
          (await redis.info('persistence')).includes('rdb_last_bgsave_status:err')
        )
      },
      end: async redis => {
        await redis.config('SET', 'save', '')
        await rmdir(await dump(redis))
      }
    }
  ]
]

test.each(refusals)(
  'I6: a Redis that answers writes with %s goes on to be read, and orders go into MySQL',
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
    await until('it is up all the same', async () => {
      const health = (await (await fetch(`${api.url}/health`)).json()) as Health
      return health.services.redis === 'connected'
    })
    // A new connection is made to a replica, in the hope of another server; a read may come just then.
    const read = await until('what waits in Redis is read', async () => {
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

test('after a failover that closes no connection, api and worker leave the old master', {
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
  // The new master takes them.
  const after = await sendUntil(api.url, 'after', ({ durability }) => durability === 'fsync')
  await untilAtRest(api)
  const sent = [before, ...after]
  await expectCompleted({ ...space, redis: next.redis }, acceptedIn(sent), idsIn(sent))
  await space.redis.replicaof('NO', 'ONE')
})

/** Starts a Redis that has all that the space's one has, and follows it; the running test's end ends it. */
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
  await until('it has what the other has', async () =>
    (await redis.info('replication')).includes('master_link_status:up')
  )
  return { redis, port: server.port }
}
