import { expect, test } from 'vitest'
import { fromEntry } from '../../src/streams/group/delivery.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { runMaintenance } from '../../src/streams/operate/maintenance.ts'
import { useApp } from '../harness/app.ts'
import { withBefore } from '../harness/before-run.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

test('maintenance removes dead consumers even if a stream or group is missing', async () => {
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const make = () => makeFunction(space, async () => undefined)
  const [noStream, noGroup, whole] = [make(), make(), make()]
  const consumers = [noStream, noGroup, whole].map(({ name }) => {
    const definition = { name, group: name, stream: name }
    return {
      member: createGroupMember({ redis, keys, definition, partition: 0, consumer: 'c', lease: () => 1 })
    }
  })
  await noGroup.add(1)
  await space.redis.xgroup('CREATE', whole.key, whole.name, '0', 'MKSTREAM')
  await space.redis.xgroup('CREATECONSUMER', whole.key, whole.name, 'dead')

  await until('the dead consumer is forgotten', async () => {
    await runMaintenance(redis, keys, consumers)
    return ((await space.redis.xinfo('CONSUMERS', whole.key, whole.name)) as unknown[]).length === 0
  })
  expect(await space.redis.exists(noStream.key)).toBe(0)
})

test('the leases of many messages are renewed in several short calls', async () => {
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const fn = makeFunction(space, async () => undefined)
  let calls = 0
  const counting = withBefore(redis, () => {
    calls++
  })
  const definition = { name: fn.name, group: fn.name, stream: fn.name }
  const options = { keys, definition, partition: 0, consumer: 'c', lease: () => 30_000 }
  const member = createGroupMember({ redis: counting, ...options })
  await member.join()
  const pipeline = space.redis.pipeline()
  for (let n = 0; n < 2500; n++) pipeline.xadd(fn.key, '*', ...fn.fields(n))
  await pipeline.exec()
  const read = await space.redis.xreadgroup('GROUP', fn.name, 'c', 'COUNT', 2500, 'STREAMS', fn.key, '>')
  const [, entries] = (read as [string, [string, string[]][]][])[0] as [string, [string, string[]][]]
  const ids = entries.map(([id]) => id)
  await space.redis.xclaim(fn.key, fn.name, 'c', 0, ...ids, 'IDLE', 3_600_000, 'JUSTID')
  calls = 0
  await member.renew(entries.map(entry => fromEntry(entry, 1)))
  expect(calls).toBe(3)
  const lapsed = await space.redis.xpending(fn.key, fn.name, 'IDLE', 1_800_000, '-', '+', 2500)
  expect(lapsed).toEqual([])
})

test('an old event stays until every group has settled it, not only read it', async () => {
  const { app } = await useApp(space, 'api', { KEY_PREFIX: await useOtherPrefix(space, 'kept') })
  const { keys } = app
  const { redis } = app.stores
  const log = keys.stream(EVENTS, 0)
  const ids = Array.from({ length: 12_000 }, (_, index) => `5-${index + 1}`)
  const pipeline = space.redis.pipeline()
  for (const id of ids) pipeline.xadd(log, id, 'v', '1')
  await pipeline.exec()
  const settle = async (group: string, unsettled: string[]) => {
    await space.redis.xgroup('CREATE', log, group, '0')
    await space.redis.xreadgroup('GROUP', group, 'c', 'COUNT', ids.length, 'STREAMS', log, '>')
    await space.redis.xack(log, group, ...ids.filter(id => !unsettled.includes(id)))
  }
  await settle('ahead', [])
  // A comparison of the ids as text would take 5-1500 for the oldest.
  await settle('behind', ['5-999', '5-1500', '5-11900'])
  const kept = async () => {
    await runMaintenance(redis, keys, [])
    const [oldest] = await space.redis.xrange(log, '-', '+', 'COUNT', 1)
    return Number(oldest?.[0].slice('5-'.length))
  }
  // Whole nodes of the stream are removed, so a few more entries are kept.
  const first = await kept()
  expect([first > 850, first <= 999]).toEqual([true, true])
  await space.redis.xack(log, 'behind', '5-999')
  const second = await kept()
  expect([second > 1350, second <= 1500]).toEqual([true, true])
  await space.redis.xack(log, 'behind', '5-1500')
  const last = await kept()
  expect([last > 1850, last <= 2001]).toEqual([true, true])
})

test('a dead consumer with messages in flight is kept, because a removal would lose the messages', async () => {
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const { key, name, add } = makeFunction(space, async () => undefined)
  const definition = { name, group: name, stream: name }
  const member = createGroupMember({ redis, keys, definition, partition: 0, consumer: 'c', lease: () => 1 })
  await add(1)
  await space.redis.xgroup('CREATE', key, name, '0')
  await space.redis.xreadgroup('GROUP', name, 'holder', 'STREAMS', key, '>')
  await space.redis.xgroup('CREATECONSUMER', key, name, 'idler')
  const consumers = async () => (await space.redis.xinfo('CONSUMERS', key, name)) as string[][]
  await until('one is forgotten', async () => {
    await runMaintenance(redis, keys, [{ member }])
    return (await consumers()).length < 2
  })
  expect((await consumers()).map(([, consumer]) => consumer)).toEqual(['holder'])
})
