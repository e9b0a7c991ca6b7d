import { expect, test } from 'vitest'
import { complete } from '../../src/orders/pricing.ts'
import { useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { writeRow } from './write-row.ts'

const space = await useSpace()

const ADMIN_TOKEN = 'a-token-for-the-tests'
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
const env = { ADMIN_TOKEN }

test.each(['', 'no JSON', '{"order_id":"spoilt-', '{"order_id":"another","status":"completed"}'])(
  'a document with the text %j is never returned, and is restored from MySQL',
  async text => {
    const { app, call, post } = await useApp(space, 'api', env)
    const order_id = `spoilt-${text.length}`
    await space.redis.set(app.keys.document(order_id), text)
    const unknown = await call(`/orders/${order_id}`)
    expect([unknown.statusCode, unknown.headers['retry-after']]).toEqual([503, '1'])
    expect((await post({ order_id, amount: 10 })).statusCode).toBe(503)

    const at = '2026-01-31T12:00:01.000Z'
    const order = complete({ order_id, amount: '10', tax_rate: '0.18', accepted_at: at }, at)
    await writeRow({ app }, order)
    const read = await call(`/orders/${order_id}`)
    expect([read.statusCode, read.headers['x-cache'], read.json().total]).toEqual([200, 'miss', 11.8])
    await until(
      'the document is repaired',
      async () => (await space.redis.get(app.keys.document(order_id))) === read.body
    )
    expect((await call(`/orders/${order_id}`)).headers['x-cache']).toBe('hit')
    const { body } = await call({ url: '/metrics', headers: { accept: 'text/plain' } })
    expect(body).toContain('orderstream_corrupt_entries_total{kind="document"} 2')
  }
)

test('orders are accepted, processed and audited while counters are not numbers', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'counters')
  const api = await useApp(space, 'api', { ...env, KEY_PREFIX })
  const { keys } = api.app
  const audit = async () => {
    const response = await api.call({ url: '/admin/audit', headers })
    return [response.statusCode, response.json()]
  }
  const post = async (order_id: string) => (await api.post({ order_id, amount: 10 })).statusCode
  expect(await post('counted-1')).toBe(202)
  await space.redis.hset(keys.accepted(0), 'count', 'many')
  await space.redis.hset(keys.settled(0), 'duplicates', 'some', 'redriving', '1.5')
  expect(await audit()).toEqual([200, expect.objectContaining({ duplicates: 0, in_flight: 1 })])
  expect(await post('counted-2')).toBe(202)
  // A second message of the order is a duplicate. The settlement counts it.
  const [first] = await space.redis.xrange(keys.stream('placed', 0), '-', '+', 'COUNT', 1)
  await space.redis.xadd(keys.stream('placed', 0), '*', ...(first as [string, string[]])[1])
  await useApp(space, 'worker', { KEY_PREFIX })
  await until(
    'all messages are settled',
    async () => (await space.redis.xlen(keys.stream('placed', 0))) === 0
  )
  expect(await audit()).toEqual([200, expect.objectContaining({ in_flight: 0, completed: 6 })])
  expect(await space.redis.hget(keys.settled(0), 'duplicates')).toBe('1')
  expect((await api.call('/metrics')).statusCode).toBe(200)
})

test('invalid entries in the set of functions are ignored', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'functions')
  const { call, app } = await useApp(space, 'api', { ...env, KEY_PREFIX })
  await space.redis.sadd(app.keys.functions(0), 'nonsense', 'gone accepted gone')
  await space.redis.hset(app.keys.accepted(0), 'count', 0)
  for (const name of ['nonsense', 'gone'])
    expect((await call({ method: 'DELETE', url: `/admin/functions/${name}`, headers })).statusCode).toBe(404)
})
