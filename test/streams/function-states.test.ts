import { describe, expect, test } from 'vitest'
import { createKeys } from '../../src/streams/keys.ts'
import type { FunctionState } from '../../src/streams/registry/function-states.ts'
import type { IsRun } from '../../src/streams/registry/processes.ts'
import { createUnrunFinder, UNRUN_AFTER } from '../../src/streams/registry/unrun.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

const exposition = async ({ call }: TestApp) =>
  (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body.split('\n')

const gauges = async (api: TestApp, name: string) =>
  (await exposition(api)).filter(
    line => /^orderstream_function_(depth|retrying|dead)/.test(line) && line.includes(`"${name}"`)
  )

test('the gauges of a function sum its backlog, retries and dead letters over all partitions', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'gauge')
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

test('the help of a service-wide gauge states that it must not be summed over processes', async () => {
  const api = await useApp(space, 'api')
  const warned = (await exposition(api))
    .filter(line => line.startsWith('# HELP') && line.includes('query it with `max by`, never with `sum`'))
    .map(line => line.split(' ')[2])
  expect(warned.sort()).toEqual([
    'orderstream_audit',
    'orderstream_events_unsettled',
    'orderstream_function_dead',
    'orderstream_function_depth',
    'orderstream_function_retrying',
    'orderstream_webhook_endpoints'
  ])
})

/** The time by which the clock of this process is ahead, in milliseconds. */
let ahead = 0
const now = performance.now.bind(performance)
performance.now = () => now() + ahead

const warningsOf = async ({ call }: TestApp) =>
  (((await call('/health')).json().warnings ?? []) as string[]).filter(text =>
    text.startsWith('The function')
  )

/** Waits until this api has read the states of functions, which it reads every five seconds. */
const untilRead = (api: TestApp) => {
  const before = api.app.functions.unsettled()
  return until('the states are read', () => api.app.functions.unsettled() !== before)
}

test('health warns of messages for the old name of a function, until an operator forgets this name', {
  timeout: 90_000
}, async () => {
  const overrides = {
    KEY_PREFIX: await useOtherPrefix(space, 'renamed'),
    ADMIN_TOKEN: 'a-token-for-the-tests',
    LEASE_MS: 500
  }
  const keys = createKeys(overrides.KEY_PREFIX, 1)
  const fn = makeFunction(space, async () => undefined)
  const { name, stream } = fn.definition
  const renamed = `${name}-v2`
  await useApp(space, 'worker', overrides, app => app.consume({ ...fn.definition, name: renamed }))
  // These are the messages of the function under its old name.
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
  const api = await useApp(space, 'api', overrides)
  await untilRead(api)
  await untilRead(api)
  expect([(await gauges(api, name)).length > 0, await warningsOf(api)]).toEqual([true, []])

  ahead += UNRUN_AFTER + 60_000
  const [warning] = await until('health warns', async () => {
    const found = await warningsOf(api)
    return found.length > 0 && found
  })
  expect(warning).toContain(`The function ${name} has 1 retries, and no worker has run it for 3 minutes`)
  expect(await warningsOf(api)).toHaveLength(1)
  const authorization = `Bearer ${overrides.ADMIN_TOKEN}`
  const ended = await api.call({
    method: 'DELETE',
    url: `/admin/functions/${name}`,
    headers: { authorization }
  })
  expect(ended.json()).toMatchObject({ retries: 1 })
  await until('health has no warning', async () => (await warningsOf(api)).length === 0)

  // A function that runs again does not count as forgotten.
  const again = await openApp(space, 'worker', overrides, app => app.consume(fn.definition))
  await until(
    'its mark is gone',
    async () => !(await space.redis.hexists(keys.alive(0), `${name} ${stream} ${name}`))
  )
  await again.close()
})

test('health asks for a worker when no worker processes orders, and does not propose to forget process-orders', {
  timeout: 60_000
}, async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'orders')
  const keys = createKeys(KEY_PREFIX, 1)
  await space.redis.xadd(keys.stream('placed', 0), '*', 'v', '1')
  const api = await useApp(space, 'api', { KEY_PREFIX })
  await untilRead(api)
  ahead += UNRUN_AFTER + 60_000
  const warnings = await until('health warns', async () => {
    const found = await warningsOf(api)
    return found.length > 0 && found
  })
  expect(warnings).toEqual([
    'The function process-orders has 1 unread messages on placed, and no worker has run it for 3 minutes: start one.'
  ])
})

describe('beside processes of the previous version', () => {
  const member = 'process-orders placed process-orders'
  const older = { mode: 'worker', lease: 30_000, taxRate: 0.18, database: space.env.DB_NAME }
  const record = (functions: string[]) => `9999999999999 ${JSON.stringify({ ...older, functions })}`

  test('an api reads the functions of an older worker from the names in its record', async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'older-worker')
    const { app } = await useApp(space, 'api', { KEY_PREFIX, LEASE_MS: 500 })
    const runs = () => app.processes.isRun()?.({ name: 'process-orders', stream: 'placed' })
    await until('it knows itself', () => runs() === false)
    await space.redis.hset(app.keys.processes(), 'older', record(['process-orders']))
    await until('it knows the worker', () => runs() === true)
  })

  test('a worker records its runs where older processes read them, until no older process runs', {
    timeout: 60_000
  }, async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'older-api')
    const keys = createKeys(KEY_PREFIX, 1)
    await space.redis.hset(keys.processes(), 'older', record([]))
    await useApp(space, 'worker', { KEY_PREFIX, LEASE_MS: 500 })
    const ranAt = await until('the run is recorded', () => space.redis.hget(keys.alive(0), member))
    const [seconds] = await space.redis.time()
    expect(Math.abs(Number(seconds) * 1000 - Number(ranAt))).toBeLessThan(30_000)
    await space.redis.hdel(keys.processes(), 'older')
    await until('no run is recorded', async () => (await space.redis.exists(keys.alive(0))) === 0)
  })
})

describe('the search for functions that no worker runs', () => {
  const state = { name: 'old', stream: 'stock', depth: 5, retrying: 0, dead: 0, ended: false }
  const other = { ...state, name: 'other' }
  const otherRuns = ({ name }: { name: string }) => name === 'other'
  const nobody = () => false
  /** Returns the result of the search when no worker has run a function for long enough. */
  const search = (states: FunctionState[], isRun: IsRun) => {
    const find = createUnrunFinder()
    expect(find(states, isRun)).toEqual([])
    ahead += UNRUN_AFTER + 1
    return find(states, isRun)
  }

  test('finds the unread messages of a queue only while no other function consumes the queue', () => {
    expect(search([state], nobody)).toMatchObject([
      { name: 'old', retrying: 0, dead: 0, unread: [{ stream: 'stock', count: 5 }] }
    ])
    expect(search([state, other], otherRuns)).toEqual([])
  })

  test('finds the unread events of a function even if another function reads the events', () => {
    const states = [state, other].map(own => ({ ...own, stream: 'events' }))
    expect(search(states, otherRuns)).toMatchObject([{ name: 'old' }])
  })

  test('skips a function that an operator has forgotten', () => {
    expect(search([{ ...state, dead: 1, ended: true }], nobody)).toEqual([])
  })

  test('finds nothing while the live processes are unknown', () => {
    const find = createUnrunFinder()
    find([state], nobody)
    ahead += UNRUN_AFTER + 1
    expect(find([state], undefined)).toEqual([])
    expect(find([state], nobody)).toHaveLength(1)
  })

  test('measures the time again from zero after a worker has run the function', () => {
    const find = createUnrunFinder()
    find([state], nobody)
    ahead += UNRUN_AFTER + 1
    find([state], ({ name }) => name === 'old')
    expect(find([state], nobody)).toEqual([])
  })
})
