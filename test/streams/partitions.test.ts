import { describe, expect, test } from 'vitest'
import { SERVICE_FUNCTIONS } from '../../src/orders/service-function.ts'
import { StoreRefused } from '../../src/stores/errors.ts'
import { TerminalError } from '../../src/streams/function.ts'
import { createKeys } from '../../src/streams/keys.ts'
import { createPartitionCheck, PartitionCountChanged } from '../../src/streams/operate/partition-count.ts'
import { openApp, useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

describe('STREAM_PARTITIONS', () => {
  test('spreads orders over slots, and workers process all of them', async () => {
    const overrides = { STREAM_PARTITIONS: 4, KEY_PREFIX: await useOtherPrefix(space, 'four') }
    const api = await useApp(space, 'api', overrides)
    await useApp(space, 'worker', overrides)
    const ids = Array.from({ length: 40 }, (_, index) => `part-${index}`)
    expect(new Set(ids.map(api.app.keys.partitionOf))).toEqual(new Set([0, 1, 2, 3]))
    await Promise.all(ids.map(order_id => api.post({ order_id, amount: 1 })))
    await until(
      'all are completed',
      async () =>
        (await space.sql<{ n: number }>("SELECT COUNT(*) AS n FROM orders WHERE order_id LIKE 'part-%'"))[0]
          ?.n === 40
    )
  })

  test('keeps the partition of an order the same in every version of the service', () => {
    // These are the test vectors of FNV-1a.
    const { partitionOf } = createKeys('x', 2 ** 32)
    expect(['', 'a', 'foobar'].map(partitionOf)).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968])
  })

  test('I4: sets different effect keys on messages with the same id in two partitions', async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'keys')
    const effects: string[] = []
    const fn = makeFunction(space, async messages => {
      effects.push(...messages.map(({ body, effectKey }) => `${body.n} ${effectKey}`))
      return undefined
    })
    for (const n of [0, 1]) await space.redis.xadd(`{${KEY_PREFIX}:${n}}:${fn.name}`, '7-1', ...fn.fields(n))
    await useApp(space, 'worker', { KEY_PREFIX, STREAM_PARTITIONS: 2 }, app => app.consume(fn.definition))
    await until('both are seen', () => effects.length === 2)
    expect(effects.sort()).toEqual([`0 ${fn.name}:0:7-1`, `1 ${fn.name}:1:7-1`])
  })

  test('shows a function that waits in one partition once, as paused, in health and metrics', async () => {
    const overrides = { STREAM_PARTITIONS: 2, KEY_PREFIX: await useOtherPrefix(space, 'paused') }
    let refuses = true
    const fn = makeFunction(space, async () => {
      if (refuses) throw new StoreRefused('mysql', new Error('read-only'))
      return undefined
    })
    await space.redis.xadd(`{${overrides.KEY_PREFIX}:0}:${fn.name}`, '*', ...fn.fields(1))
    const { call } = await useApp(space, 'worker', overrides, app => app.consume(fn.definition))
    const functions = async () => (await call('/health')).json().functions
    const metrics = async () => (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body
    await until('one of its partitions waits', async () =>
      (await functions()).some(({ state }: { state: string }) => state === 'paused')
    )
    expect(await functions()).toEqual([
      { name: 'process-orders', state: 'running' },
      { name: fn.name, state: 'paused', reason: expect.stringContaining('mysql refuses') }
    ])
    expect(await metrics()).toContain(`orderstream_function_paused{function="${fn.name}"} 1`)
    refuses = false
    await until('it continues', async () =>
      (await metrics()).includes(`orderstream_function_paused{function="${fn.name}"} 0`)
    )
  })

  test('cannot change while orders wait', async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'changed')
    const before = await openApp(space, 'api', { KEY_PREFIX })
    await before.post({ order_id: 'waits', amount: 1 })
    await before.close()
    const changed = await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })
    expect((await changed.call('/health')).json().services.redis).toBe('disconnected')
    expect(
      changed.log.some(({ err }) => (err as Error)?.message.includes('Start with STREAM_PARTITIONS=1'))
    ).toBe(true)
    expect((await changed.post({ order_id: 'waits-too', amount: 1 })).headers.durability).toBe('mysql')
  })
})

describe('two partition counts', () => {
  /** Returns the probe of a process with this count, and a function that reads the count in Redis. */
  const processOf = (KEY_PREFIX: string, partitions: number) => {
    const keys = createKeys(KEY_PREFIX, partitions)
    const check = createPartitionCheck(keys, SERVICE_FUNCTIONS)
    return {
      keys,
      probe: () => check(() => space.redis),
      count: () => space.redis.get(keys.partitionCount())
    }
  }

  test('are never used together: a process stops using Redis after a later one has changed the count', async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'turns')
    const old = await useApp(space, 'api', { KEY_PREFIX })
    await until('it has set its count', () => old.app.stores.redis.up())
    const fresh = await openApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 4 })
    expect(fresh.app.stores.redis.up()).toBe(true)
    await until('the old one has noticed', async () => !(await old.app.stores.redis.check()))
    expect(await fresh.app.stores.redis.check()).toBe(true)
    expect(await space.redis.get(fresh.app.keys.partitionCount())).toBe('4')
    expect(
      old.log.some(({ err }) => (err as Error)?.message.includes('STREAM_PARTITIONS=4 has started'))
    ).toBe(true)
    const spilled = await old.post({ order_id: 'spilled', amount: 1 })
    expect([spilled.statusCode, spilled.headers.durability]).toEqual([202, 'mysql'])

    // After a rollback, the old process waits until a process with its count has found that no message waits.
    await fresh.close()
    expect(await old.app.stores.redis.check()).toBe(false)
    await useApp(space, 'api', { KEY_PREFIX })
    await until('the old one is back', () => old.app.stores.redis.check())
  })

  test('are replaced after a flush by the count of the first process that probes Redis', async () => {
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.flushed`
    const [two, other] = [processOf(KEY_PREFIX, 2), processOf(KEY_PREFIX, 2)]
    await two.probe()
    await other.probe()
    await space.redis.del(two.keys.partitionCount())
    await other.probe()
    await two.probe()
    expect(await two.count()).toBe('2')
  })

  test('return to the higher count when an order arrives in a removed partition', async () => {
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.late`
    const [four, two] = [processOf(KEY_PREFIX, 4), processOf(KEY_PREFIX, 2)]
    await four.probe()
    await two.probe()
    await two.probe()
    expect(await two.count()).toBe('2')

    // A process with four partitions does this if it has not probed Redis since then.
    const late = four.keys.stream('placed', 3)
    await space.redis.xadd(late, '*', 'v', '1')
    await expect(two.probe()).rejects.toThrow('partition 3 still has 1 messages')
    expect(await two.count()).toBe('4')
    await four.probe()
    await expect(two.probe()).rejects.toThrow(PartitionCountChanged)
    await space.redis.del(late)
    await two.probe()
    expect(await two.count()).toBe('2')
    await expect(four.probe()).rejects.toThrow('STREAM_PARTITIONS=2 has started')
  })
})

describe('a lower STREAM_PARTITIONS', () => {
  /** Returns true if an api accepts the count, or the text of its refusal. */
  const takes = async (overrides: Record<string, unknown>) => {
    const { app, log, close } = await openApp(space, 'api', overrides)
    const { up } = app.stores.redis.masterOf(0).availability
    await close()
    const refusal = log
      .map(({ err }) => err as Error | undefined)
      .find(err => err?.message.includes('STREAM'))
    expect(up).toBe(refusal === undefined)
    return refusal?.message ?? true
  }

  /** Returns the keys of partition 3 of a service with four partitions, under a prefix of its own. */
  const fourPartitions = async (name: string) => {
    const KEY_PREFIX = await useOtherPrefix(space, name)
    await space.redis.set(`{${KEY_PREFIX}:0}:partitions`, 4)
    const key = (rest: string) => `{${KEY_PREFIX}:3}:${rest}`
    return { KEY_PREFIX, key }
  }

  test('is refused while a removed partition has a queued message, a retry or a dead letter', async () => {
    const { KEY_PREFIX, key } = await fourPartitions('left')
    const fn = makeFunction(space, async messages => {
      throw messages[0]?.body.n === 1 ? new Error('later') : new TerminalError('never', 'no')
    })
    const definition = { ...fn.definition, retry: { attempts: 2, base: 3_600_000, max: 3_600_000 } }
    const worker = await openApp(space, 'worker', { KEY_PREFIX, STREAM_PARTITIONS: 4, LEASE_MS: 500 }, app =>
      app.consume(definition)
    )
    for (const n of [1, 2]) await space.redis.xadd(key(fn.name), '*', ...fn.fields(n))
    const settled = async () => (await space.redis.xlen(key(fn.name))) === 0
    await until('it has failed', settled).finally(() => worker.close())
    const overrides = { KEY_PREFIX, STREAM_PARTITIONS: 2 }
    const refusal = `partition 3 still has 0 messages, 1 retries and 1 dead letters of ${fn.name}. Start with STREAM_PARTITIONS=4`
    expect(await takes(overrides)).toContain(refusal)

    await space.redis.del(key(`retry:${fn.name}`))
    expect(await takes(overrides)).toContain(`0 retries and 1 dead letters of ${fn.name}`)
    await space.redis.del(key(`dead:${fn.name}`))
    await space.redis.xadd(key(fn.name), '*', ...fn.fields(3))
    expect(await takes(overrides)).toContain(`1 messages, 0 retries`)
    expect(await takes({ KEY_PREFIX, STREAM_PARTITIONS: 5 })).toBe(true)
    await space.redis.del(key(fn.name))
    expect(await takes(overrides)).toBe(true)
    expect(await space.redis.get(`{${KEY_PREFIX}:0}:partitions`)).toBe('2')
  })

  test('is refused while a removed partition has events that a group has not settled', async () => {
    const { KEY_PREFIX, key } = await fourPartitions('unread')
    const overrides = { KEY_PREFIX, STREAM_PARTITIONS: 2 }
    const id = (await space.redis.xadd(key('events'), '*', 'v', '1', 'data', '{}')) as string
    await space.redis.xgroup('CREATE', key('events'), 'send-receipt', '0')
    expect(await takes(overrides)).toContain('1 messages, 0 retries and 0 dead letters of send-receipt')
    await space.redis.xreadgroup('GROUP', 'send-receipt', 'c', 'STREAMS', key('events'), '>')
    expect(await takes(overrides)).toContain('1 messages')
    await space.redis.xack(key('events'), 'send-receipt', id)
    expect(await takes(overrides)).toBe(true)
  })

  test('does not overwrite a count that another process has set meanwhile', async () => {
    const { KEY_PREFIX } = await fourPartitions('raced')
    const keys = createKeys(KEY_PREFIX, 2)
    const get = async (key: string) => {
      const seen = await space.redis.get(key)
      await space.redis.set(key, 3)
      return seen
    }
    const client = Object.create(space.redis, { get: { value: get } }) as typeof space.redis
    await expect(createPartitionCheck(keys, SERVICE_FUNCTIONS)(() => client)).rejects.toThrow(
      PartitionCountChanged
    )
    expect(await space.redis.get(keys.partitionCount())).toBe('3')
  })
})
