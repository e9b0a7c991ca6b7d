import { expect, test } from 'vitest'
import { MANY_UNSETTLED, readUnsettled } from '../../src/streams/registry/unsettled.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { NOWHERE, until, useOtherPrefix, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'

/** Appends this number of entries to a log in one call. */
const fill = (key: string, count: number) =>
  space.redis.eval(`for i = 1, ${count} do redis.call('XADD', KEYS[1], '*', 'v', '1') end`, 1, key)

const gauges = async ({ call }: TestApp) =>
  (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body
    .split('\n')
    .filter(line => line.startsWith('orderstream_events_unsettled'))

test('a gauge counts the read and unread events that each group has not settled, over all partitions', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'gauge')
  const api = await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })
  expect(await gauges(api)).toEqual([])
  const keys = [0, 1].map(partition => api.app.keys.stream('events', partition))
  for (const key of keys) {
    await fill(key, 10)
    await space.redis.xgroup('CREATE', key, 'gone', '0')
    const ids = (await space.redis.xrange(key, '-', '+')).map(([id]) => id)
    const [third, fifth, last] = [ids[2], ids[4], ids[9]] as [string, string, string]
    // After a trim, Redis cannot count the events that some groups have not read.
    await space.redis.xtrim(key, 'MINID', third)
    await space.redis.xgroup('CREATE', key, 'late', '0')
    await space.redis.xgroup('CREATE', key, 'set-inside', fifth)
    await space.redis.xgroup('CREATE', key, 'set-to-the-end', last)
    await space.redis.xreadgroup('GROUP', 'late', 'c', 'COUNT', 3, 'STREAMS', key, '>')
    await space.redis.xack(key, 'late', third)
  }
  expect((await gauges(api)).sort()).toEqual([
    'orderstream_events_unsettled{group="gone"} 16',
    'orderstream_events_unsettled{group="late"} 14',
    'orderstream_events_unsettled{group="set-inside"} 16',
    'orderstream_events_unsettled{group="set-to-the-end"} 0'
  ])
})

test('the gauge is absent while Redis is unavailable, and the other metrics are present', async () => {
  const api = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
  expect(await gauges(api)).toEqual([])
  expect((await api.call('/health')).json().warnings).toBeUndefined()
  expect((await api.call({ url: '/metrics', headers: { accept: 'text/plain' } })).body).toContain(
    'orderstream_store_up{store="redis"} 0'
  )
})

test('I7: health warns of a group that prevents the trimming of the log, until it is forgotten', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'warned')
  const events = `{${KEY_PREFIX}:0}:events`
  await fill(events, MANY_UNSETTLED)
  await space.redis.xgroup('CREATE', events, 'send-receipt-v1', '0')
  const worker = await useApp(space, 'worker', { KEY_PREFIX, LEASE_MS: 500 })
  const api = await useApp(space, 'api', { KEY_PREFIX, ADMIN_TOKEN, LEASE_MS: 500 })
  await until(
    'they are counted',
    () => api.app.functions.unsettled().get('send-receipt-v1') === MANY_UNSETTLED
  )
  expect((await api.call('/health')).json().warnings).toBeUndefined()

  await fill(events, 1)
  const [warning] = await until('health warns', async () => (await api.call('/health')).json().warnings)
  expect(warning).toContain(`send-receipt-v1 has not settled ${MANY_UNSETTLED + 1} events`)
  expect((await worker.call('/health')).json().status).toBe('healthy')

  const authorization = `Bearer ${ADMIN_TOKEN}`
  await api.call({ method: 'DELETE', url: '/admin/functions/send-receipt-v1', headers: { authorization } })
  expect(await readUnsettled(api.app.stores.redis, api.app.keys)).toEqual(new Map())
  await until('the log is trimmed', async () => (await space.redis.xlen(events)) < MANY_UNSETTLED / 2)
  await until('health has no warning', async () => !(await api.call('/health')).json().warnings)
})
