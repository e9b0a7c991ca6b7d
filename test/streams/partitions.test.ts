import { describe, expect, test } from 'vitest'
import { openApp, useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'

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
