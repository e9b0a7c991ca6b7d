import { expect, test } from 'vitest'
import { createKeys } from '../../src/streams/keys.ts'
import { createUnrunFinder, UNRUN_AFTER } from '../../src/streams/registry/unrun.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

const exposition = async ({ call }: TestApp) =>
  (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body.split('\n')

const gauges = async (api: TestApp, name: string) =>
  (await exposition(api)).filter(
    line => /^orderstream_function_(depth|retrying|dead)/.test(line) && line.includes(`"${name}"`)
  )

test('gauges say for every stream and function what waits, is retried and is dead, over all partitions', async () => {
  const KEY_PREFIX = `${space.env.KEY_PREFIX}.gauge`
  const api = await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })
  const { keys } = api.app
  for (const at of [0, 1]) {
    await space.redis.sadd(keys.functions(at), 'reserve stock reserve')
    await space.redis.xadd(keys.stream('stock', at), '*', 'v', '1')
    await space.redis.zadd(keys.retry('reserve', at), 1, 'a', 2, 'b')
    for (let n = 0; n < 3; n++) await space.redis.xadd(keys.dead('reserve', at), '*', 'id', '1-1')
    await space.redis.xadd(keys.stream('events', at), '*', 'v', '1')
    await space.redis.xgroup('CREATE', keys.stream('events', at), 'receipt', '0')
  }
  expect((await gauges(api, 'reserve')).sort()).toEqual([
    'orderstream_function_dead{function="reserve",stream="stock"} 6',
    'orderstream_function_depth{function="reserve",stream="stock"} 2',
    'orderstream_function_retrying{function="reserve",stream="stock"} 4'
  ])
  expect(await gauges(api, 'receipt')).toContain(
    'orderstream_function_depth{function="receipt",stream="events"} 2'
  )
  expect(await gauges(api, 'process-orders')).toContain(
    'orderstream_function_depth{function="process-orders",stream="placed"} 0'
  )
})

test('figures of the whole service say in their help that they must not be added up; those of a process do not', async () => {
  const api = await useApp(space, 'api')
  const warned = (await exposition(api))
    .filter(line => line.startsWith('# HELP') && line.includes('query it with `max by`, never with `sum`'))
    .map(line => line.split(' ')[2])
  expect(warned.sort()).toEqual([
    'orderstream_audit',
    'orderstream_events_unsettled',
    'orderstream_function_dead',
    'orderstream_function_depth',
    'orderstream_function_retrying'
  ])
})

test('health warns of what waits for a function that was renamed, until that is ended', {
  timeout: 60_000
}, async () => {
  const overrides = {
    KEY_PREFIX: `${space.env.KEY_PREFIX}.renamed`,
    ADMIN_TOKEN: 'a-token-for-the-tests',
    LEASE_MS: 500
  }
  const keys = createKeys(overrides.KEY_PREFIX, 1)
  const api = await useApp(space, 'api', { ...overrides, MAX_EVENT_LOOP_DELAY_MS: 0 })
  const warnings = async () => ((await api.call('/health')).json().warnings ?? []) as string[]
  const fn = makeFunction(space, async () => undefined)
  const { name, stream } = fn.definition
  const renamed = `${name}-v2`
  await useApp(space, 'worker', overrides, app => app.consume({ ...fn.definition, name: renamed }))
  await until('the new one is noted', () =>
    space.redis.hexists(keys.alive(0), `${renamed} ${stream} ${renamed}`)
  )
  // What the old one has left, which ran until now.
  await space.redis.xgroup('CREATE', keys.stream(stream, 0), name, '0', 'MKSTREAM')
  await space.redis.sadd(keys.functions(0), `${name} ${stream} ${name}`)
  await space.redis.zadd(keys.retry(name, 0), 1, '1-1')
  await space.redis.hset(
    keys.retrying(name, 0),
    '1-1',
    '{"v":"1","data":"{}","attempts":1,"firstAt":1,"taken":0}',
    '1-1#',
    '1'
  )
  const ranAt = async (ms: number) =>
    space.redis.hset(
      keys.alive(0),
      `${name} ${stream} ${name}`,
      Number((await space.redis.time())[0]) * 1000 - ms
    )
  await ranAt(1000)
  const seen = await until('the states were read', async () => (await gauges(api, name)).length > 0)
  expect([seen, await warnings()]).toEqual([true, []])

  await ranAt(UNRUN_AFTER + 60_000)
  const [warning] = await until('health warns', async () => {
    const found = await warnings()
    return found.length > 0 && found
  })
  expect(warning).toContain(`The function ${name} has 1 retries, and no worker has run it for 3 minutes`)
  const authorization = `Bearer ${overrides.ADMIN_TOKEN}`
  const ended = await api.call({
    method: 'DELETE',
    url: `/admin/functions/${name}`,
    headers: { authorization }
  })
  expect(ended.json()).toMatchObject({ retries: 1 })
  await until('health is content', async () => (await warnings()).length === 0)
})

test('of orders that no worker processes, health says that one must be started, and nothing of ending their function', async () => {
  const KEY_PREFIX = `${space.env.KEY_PREFIX}.orders`
  const keys = createKeys(KEY_PREFIX, 1)
  await space.redis.xadd(keys.stream('placed', 0), '*', 'v', '1')
  const longAgo = Number((await space.redis.time())[0]) * 1000 - UNRUN_AFTER - 60_000
  await space.redis.hset(keys.alive(0), 'process-orders placed process-orders', longAgo)
  const { call } = await useApp(space, 'api', { KEY_PREFIX })
  const warnings = await until('health warns', async () => (await call('/health')).json().warnings)
  expect(warnings).toEqual([
    'The function process-orders has 1 unread messages on placed, and no worker has run it for 3 minutes: start one.'
  ])
})

test('unread messages of a queue are those of nobody only while no other function consumes it, and none was ended', () => {
  const state = {
    name: 'old',
    stream: 'stock',
    depth: 5,
    retrying: 0,
    dead: 0,
    silent: UNRUN_AFTER,
    ended: false
  }
  const other = { ...state, name: 'other', silent: 0 }
  const find = createUnrunFinder()
  expect(find([state])).toEqual([
    { name: 'old', retrying: 0, dead: 0, unread: [{ stream: 'stock', count: 5 }], silent: UNRUN_AFTER }
  ])
  expect(find([state, other])).toEqual([])
  expect(
    find([
      { ...state, stream: 'events' },
      { ...other, stream: 'events' }
    ])
  ).toHaveLength(1)
  expect(find([{ ...state, dead: 1, ended: true }])).toEqual([])
  // Nobody has ever noted it: it may be of an older version, which runs.
  expect(find([{ ...state, silent: undefined }])).toEqual([])
})
