import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import type { Health } from '../../schema/health.ts'
import { freePort } from '../../src/local/ports.ts'
import { startService } from '../service.ts'
import { until } from '../space.ts'
import { ADMIN_TOKEN, expectCompleted, untilAtRest } from './evidence.ts'
import { send } from './load.ts'
import { useOwnStores } from './own-stores.ts'

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
      // Its master does not answer, so it keeps what it has.
      begin: async redis => redis.replicaof('127.0.0.1', await freePort()),
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
    const api = await startService(space, 'api', { ADMIN_TOKEN })
    expect((await send(api.url, 'waiting')).durability).toBe('fsync')
    await begin(space.redis)
    await expect(space.redis.set('x', 'y')).rejects.toThrow(word)
    await until(
      'orders go into MySQL',
      async () => (await send(api.url, `spilled-${word}`)).durability === 'mysql'
    )
    await until('it is up all the same', async () => {
      const health = (await (await fetch(`${api.url}/health`)).json()) as Health
      return health.services.redis === 'connected'
    })
    const read = await until('what waits in Redis is read', async () => {
      const response = await fetch(`${api.url}/orders/waiting`)
      return response.status === 200 && response
    })
    expect([read.headers.get('x-cache'), await read.json()]).toEqual([
      'hit',
      expect.objectContaining({ status: 'processing' })
    ])
    await end(space.redis)
    await startService(space, 'worker')
    expect((await send(api.url, 'later')).status).toBe(202)
    await untilAtRest(api)
    await expectCompleted(space, ['waiting', `spilled-${word}`, 'later'])
  }
)
