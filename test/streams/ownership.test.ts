import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromEntry, SUSPECT_DELIVERIES } from '../../src/streams/group/delivery.ts'
import { createGroupMember, type GroupMember } from '../../src/streams/group/member.ts'
import type { Settlement } from '../../src/streams/group/settlement.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()
let worker: TestApp

beforeAll(async () => {
  // A slow Redis must not count as unavailable here.
  worker = await openApp(space, 'worker', { STORE_TIMEOUT_MS: 5000 })
})
afterAll(() => worker.close())

/** Returns the settlement of a successful message, without counts, writes or events. */
const done = (id: string): Settlement => {
  const delivery = fromEntry([id, []], 1)
  return { delivery, outcome: { kind: 'done' }, counts: [], writes: [], events: [] }
}

describe('a consumer', () => {
  test('runs a message once even if its lease expires during the run', async () => {
    let calls = 0
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const fn = makeFunction(space, async () => {
      calls++
      await over
      return undefined
    })
    const id = await fn.add(1)
    const { app } = await useWorker(space, fn.definition)
    await until('it runs', () => calls === 1)
    await until('the worker has found it', async () => {
      const [[, consumer, , deliveries]] = (await space.redis.xpending(fn.key, fn.name, '-', '+', 1)) as [
        [string, string, number, number]
      ]
      await space.redis.xclaim(fn.key, fn.name, consumer, 0, id, 'IDLE', 600_000, 'JUSTID')
      return deliveries > 1
    })
    end()
    await fn.settled()
    await app.close()
    expect(calls).toBe(1)
  })

  test('takes over the messages of a dead consumer', async () => {
    const seen: number[] = []
    const fn = makeFunction(space, async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await space.redis.xgroup('CREATE', fn.key, fn.name, '0', 'MKSTREAM')
    for (let n = 0; n < 30; n++) await fn.add(n)
    await space.redis.xreadgroup('GROUP', fn.name, 'dead', 'COUNT', 30, 'STREAMS', fn.key, '>')
    await useWorker(space, fn.definition)
    await fn.settled()
    expect(seen).toHaveLength(30)
  })

  test('takes over suspects one by one, without a pause between them', async () => {
    const batches: number[][] = []
    const fn = makeFunction(space, async messages => void batches.push(messages.map(({ body }) => body.n)))
    await space.redis.xgroup('CREATE', fn.key, fn.name, '0', 'MKSTREAM')
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push(await fn.add(n))
    await space.redis.xreadgroup('GROUP', fn.name, 'dead', 'COUNT', 3, 'STREAMS', fn.key, '>')
    const lease = 600_000
    const lapsed = ['IDLE', lease, 'RETRYCOUNT', SUSPECT_DELIVERIES, 'JUSTID'] as const
    await space.redis.xclaim(fn.key, fn.name, 'dead', 0, ...ids, ...lapsed)
    await useApp(space, 'worker', { LEASE_MS: lease }, app => app.consume(fn.definition))
    await fn.settled()
    expect(batches).toEqual([[0], [1], [2]])
  })

  test('settles nothing after it has lost its lease', async () => {
    const fn = makeFunction(space, async () => undefined)
    const id = await fn.add(1)
    const { keys } = worker.app
    const { redis } = worker.app.stores
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = (consumer: string) =>
      createGroupMember({ redis, keys, definition, partition: 0, consumer, lease: () => 1 })
    const [slow, quick] = [member('slow'), member('quick')]
    await slow.join()
    await space.redis.xreadgroup('GROUP', fn.name, 'slow', 'COUNT', 1, 'STREAMS', fn.key, '>')
    await until(
      'the other one has taken over',
      async () => (await quick.claim('0-0', 10, 'safe')).deliveries.length === 1
    )
    const document = `{${space.env.KEY_PREFIX}:0}:doc:x`
    const end = (value: string): Settlement[] => [
      {
        delivery: fromEntry([id, []], 1),
        outcome: { kind: 'done' },
        counts: [['duplicates', 1]],
        writes: [{ key: document, value, ttl: 60_000 }],
        events: [{ data: '{}', unless: '', message: { requestId: '', traceparent: '' } }]
      }
    ]
    const traces = async () => [
      await space.redis.xlen(fn.key),
      await space.redis.get(document),
      await space.redis.hget(keys.settled(0), 'duplicates')
    ]
    const before = await space.redis.xlen(keys.stream('events', 0))
    expect((await slow.settle(end('slow'))).settled).toBe(0)
    expect(await traces()).toEqual([1, null, null])
    await slow.renew([fromEntry([id, []], 1)])
    await slow.release([fromEntry([id, []], 1)], 0)
    expect((await quick.settle(end('quick'))).settled).toBe(1)
    expect(await traces()).toEqual([0, 'quick', '1'])
    expect((await slow.settle(end('slow again'))).settled).toBe(0)
    expect(await traces()).toEqual([0, 'quick', '1'])
    expect((await space.redis.xlen(keys.stream('events', 0))) - before).toBe(1)
    await space.redis.del(keys.settled(0))
  })

  test('keeps a settled event in the log for the other groups', async () => {
    const { keys } = worker.app
    const { redis } = worker.app.stores
    const [quick, events] = ['quick', keys.stream(EVENTS, 0)]
    const definition = { name: quick, group: quick, stream: EVENTS }
    const member = createGroupMember({
      redis,
      keys,
      definition,
      partition: 0,
      consumer: 'c',
      lease: () => 600_000
    })
    await member.join()
    await space.redis.xadd(events, '*', 'v', '1', 'data', '{}')
    const ids = (await space.redis.xrange(events, '-', '+')).map(([id]) => id)
    await space.redis.xreadgroup('GROUP', quick, 'c', 'STREAMS', events, '>')
    await member.settle(ids.map(done))
    expect(await space.redis.xpending(events, quick)).toEqual([0, null, null, null])
    expect(await space.redis.xlen(events)).toBe(ids.length)
  })

  test('settles all of its messages in one call, in any order and with ids of any length', async () => {
    const fn = makeFunction(space, async () => undefined)
    // As texts, the first ids have another order. As numbers, the last two ids have the same time.
    const ids = ['5-9', '5-10', '10-1', '18446744073709551613-10', '18446744073709551614-9']
    for (const id of ids) await space.redis.xadd(fn.key, id, ...fn.fields(1))
    const { keys } = worker.app
    const { redis } = worker.app.stores
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = createGroupMember({
      redis,
      keys,
      definition,
      partition: 0,
      consumer: 'c',
      lease: () => 600_000
    })
    await member.join()
    await space.redis.xreadgroup('GROUP', fn.name, 'c', 'STREAMS', fn.key, '>')
    const order = ['5-10', '10-1', '5-9', '18446744073709551613-10', '18446744073709551614-9']
    expect((await member.settle(order.map(done))).settled).toBe(5)
    expect(await space.redis.xlen(fn.key)).toBe(0)
  })

  test('releases a message at once or at the end of its lease, and does not count the delivery', async () => {
    const fn = makeFunction(space, async () => undefined)
    const delivery = fromEntry([await fn.add(1), []], 1)
    const { keys } = worker.app
    const { redis } = worker.app.stores
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const [lease, partition] = [600_000, 0]
    const [first, second] = ['first', 'second'].map(consumer =>
      createGroupMember({ redis, keys, definition, partition, consumer, lease: () => lease })
    ) as [GroupMember, GroupMember]
    await first.join()
    await space.redis.xreadgroup('GROUP', fn.name, 'first', 'COUNT', 1, 'STREAMS', fn.key, '>')
    await first.release([delivery], 0)
    expect((await second.claim('0-0', 10, 'safe')).deliveries).toEqual([])
    await first.release([delivery], lease)
    expect((await second.claim('0-0', 10, 'safe')).deliveries).toMatchObject([
      { id: delivery.id, deliveries: 1 }
    ])
  })
})
