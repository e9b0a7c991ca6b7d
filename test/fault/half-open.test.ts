import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { startService } from '../harness/service.ts'
import { until } from '../harness/space.ts'
import { makeFunction } from '../streams/functions.ts'
import { send, sendUntil } from './load.ts'
import { useOwnStores } from './own-stores.ts'
import { startProxy } from './proxy.ts'

const stores = await useOwnStores()

test('an api replaces a connection to Redis that no longer answers', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  // This is longer than the default, but shorter than the time for which a connection may be silent.
  const env = { REDIS_PORT: String(proxy.port), STORE_TIMEOUT_MS: '2000' }
  const api = await startService(space, 'api', env)
  expect((await send(api.url, 'before')).durability).toBe('fsync')
  proxy.freeze()
  expect((await send(api.url, 'meanwhile')).durability).toBe('mysql')
  await sendUntil(api.url, 'after', ({ durability }) => durability === 'fsync')
})

test('a worker replaces a connection for reading that no longer answers', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const seen: number[] = []
  const fn = makeFunction(space, async messages => {
    seen.push(...messages.map(({ body }) => body.n))
    return undefined
  })
  const env = { REDIS_PORT: proxy.port, LEASE_MS: 1000 }
  await useApp(space, 'worker', env, app => app.consume(fn.definition))
  await fn.add(1)
  await until('it reads the first message', () => seen.includes(1))
  proxy.freeze()
  await fn.add(2)
  await until('it reads the second message', () => seen.includes(2))
})
