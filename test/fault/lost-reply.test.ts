import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until } from '../harness/space.ts'
import { makeFunction } from '../streams/functions.ts'
import { useOwnStores } from './own-stores.ts'

// The test closes every connection of the server.
const stores = await useOwnStores()

test('messages whose delivery was lost with the connection do not wait for their lease', async () => {
  const space = await stores.space()
  const handled: number[] = []
  const fn = makeFunction(space, async messages => {
    handled.push(...messages.map(({ body }) => body.n))
    return undefined
  })
  await useApp(space, 'worker', { LEASE_MS: 600_000 }, app => app.consume(fn.definition))
  await fn.add(1)
  await until('the first message is handled', () => handled.length === 1)
  const [consumer] = (await space.redis.call('XINFO', 'CONSUMERS', fn.key, fn.name)) as string[][]
  // In a transaction, the messages go to this command, not to the read that waits.
  const read = ['GROUP', fn.name, consumer?.[1] as string, 'STREAMS', fn.key, '>'] as const
  const replies = await space.redis
    .multi()
    .xadd(fn.key, '*', ...fn.fields(2))
    .xadd(fn.key, '*', ...fn.fields(3))
    .xreadgroup(...read)
    .exec()
  expect(replies?.at(-1)).toEqual([null, [[fn.key, expect.objectContaining({ length: 2 })]]])
  await space.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('the others are handled', () => handled.length === 3)
  await fn.settled()
  expect(handled).toEqual([1, 2, 3])
})
