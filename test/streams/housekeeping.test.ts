import { expect, test } from 'vitest'
import { createGroupMember } from '../../src/streams/group.ts'
import { keepHouse } from '../../src/streams/housekeeping.ts'
import { EVENTS } from '../../src/streams/streams.ts'
import { useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

test('a missing stream or group keeps it neither from trimming logs nor from forgetting dead consumers', async () => {
  const { redis, keys } = (await useApp(space, 'api')).app
  const make = () => makeFunction(space, async () => undefined)
  const [noStream, noGroup, whole] = [make(), make(), make()]
  const consumers = [noStream, noGroup, whole].map(({ name }) => {
    const definition = { name, group: name, stream: name }
    return { member: createGroupMember({ redis, keys, definition, partition: 0, consumer: 'c', lease: 1 }) }
  })
  await noGroup.add(1)
  await space.redis.xgroup('CREATE', whole.key, whole.name, '0', 'MKSTREAM')
  await space.redis.xgroup('CREATECONSUMER', whole.key, whole.name, 'dead')
  const log = keys.stream(EVENTS, 0)
  await space.redis.xgroup('CREATE', log, 'reader', '0', 'MKSTREAM')
  for (let n = 0; n < 3; n++) await space.redis.xadd(log, '*', ...whole.fields(n))
  const read = await space.redis.xreadgroup('GROUP', 'reader', 'r', 'STREAMS', log, '>')
  const [, entries] = (read as [string, [string, string[]][]][])[0] as [string, [string, string[]][]]
  await space.redis.xack(log, 'reader', ...entries.map(([id]) => id))

  await until('the dead consumer is forgotten', async () => {
    await keepHouse(redis, keys, consumers)
    return ((await space.redis.xinfo('CONSUMERS', whole.key, whole.name)) as unknown[]).length === 0
  })
  expect(await space.redis.xlen(log)).toBe(1)
  expect(await space.redis.exists(noStream.key)).toBe(0)
})
