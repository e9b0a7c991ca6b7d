import { expect, test } from 'vitest'
import { startService } from '../service.ts'
import { until } from '../space.ts'
import { send } from './load.ts'
import { useOwnStores } from './own-stores.ts'
import { startProxy } from './proxy.ts'

const stores = await useOwnStores()

test('a connection to Redis whose other end is gone without a word is made anew', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const api = await startService(space, 'api', { REDIS_PORT: String(proxy.port) })
  expect((await send(api.url, 'before')).durability).toBe('fsync')
  proxy.freeze()
  expect((await send(api.url, 'meanwhile')).durability).toBe('mysql')
  let n = 0
  await until(
    'orders go into Redis again',
    async () => (await send(api.url, `after-${n++}`)).durability === 'fsync'
  )
})
