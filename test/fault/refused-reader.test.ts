import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../../tools/local/redis.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from '../streams/functions.ts'

const space = await useSpace()

/** Starts a Redis that only the running test uses. */
async function useRedis() {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-reader-'))
  const server = await startRedis({ dir })
  const redis = new Redis({ port: server.port, replyMapping: 'legacy' })
  onTestFinished(async () => {
    redis.disconnect()
    await server.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return { redis, port: server.port }
}

/** The ids of the connections that read messages. */
async function readers(redis: Redis): Promise<string[]> {
  const clients = String(await redis.client('LIST')).split('\n')
  return clients
    .filter(line => line.includes('cmd=xreadgroup'))
    .map(line => /\bid=(\d+)/.exec(line)?.[1] ?? '')
}

test.each<[string, (redis: Redis) => Promise<unknown>, (redis: Redis) => Promise<unknown>]>([
  [
    'Redis accepts no more clients',
    redis => redis.config('SET', 'maxclients', 1),
    redis => redis.config('SET', 'maxclients', 1000)
  ],
  [
    'the password is wrong',
    redis => redis.call('ACL', 'SETUSER', 'default', 'resetpass', '>other'),
    redis => redis.call('ACL', 'SETUSER', 'default', 'nopass')
  ]
])(
  'a worker that has to reconnect for reading waits while %s, logs it once, and continues by itself',
  {
    timeout: 60_000
  },
  async (_what, refuse, allow) => {
    const { redis, port } = await useRedis()
    const fn = makeFunction({ ...space, redis }, async () => undefined)
    const { log, call } = await useApp(space, 'worker', { REDIS_PORT: port, REDIS_PASSWORD: 'secret' }, app =>
      app.consume(fn.definition)
    )
    const own = () => log.filter(line => line.function === fn.name)
    const state = async () => {
      const { status, services, functions } = (await call('/health')).json()
      return [status, services.redis, functions.find(({ name }: { name: string }) => name === fn.name)]
    }
    await fn.add(1)
    await fn.settled()

    await refuse(redis)
    for (const id of await readers(redis)) await redis.client('KILL', 'ID', id)
    await until('the function is paused', async () => (await state())[2].state === 'paused')
    expect(await state()).toEqual([
      'degraded',
      'connected',
      {
        name: fn.name,
        state: 'paused',
        reason: expect.stringMatching(/^redis refuses .*; the log has the details$/)
      }
    ])
    const refusals = async () => {
      const counts = `${await redis.info('stats')}${await redis.info('errorstats')}`
      const pattern = /^(?:rejected_connections:|errorstat_WRONGPASS:count=)(\d+)/gm
      return Array.from(counts.matchAll(pattern)).reduce((sum, [, count]) => sum + Number(count), 0)
    }
    const before = await refusals()
    await until('the worker has tried again', async () => (await refusals()) > before + 2)
    expect(
      own()
        .filter(({ level }) => Number(level) > 30)
        .map(({ msg }) => msg)
    ).toEqual(['the function waits for Redis, which does not hand out its messages'])

    await allow(redis)
    await fn.add(2)
    await fn.settled()
    await until('the worker is healthy', async () => (await state())[0] === 'healthy')
    expect(own().filter(({ msg }) => msg === 'the function continues')).toHaveLength(1)
  }
)
