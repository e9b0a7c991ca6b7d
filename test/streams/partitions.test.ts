import { describe, expect, test } from 'vitest'
import { openApp, useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

describe('STREAM_PARTITIONS', () => {
  test('spreads orders over slots, and all of them are processed', async () => {
    const overrides = { STREAM_PARTITIONS: 4, KEY_PREFIX: `${space.env.KEY_PREFIX}.four` }
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

  test('I4: the effect key of a message is its own, though two partitions have given the same id', async () => {
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.keys`
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

  test('cannot change while orders wait', async () => {
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.changed`
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
