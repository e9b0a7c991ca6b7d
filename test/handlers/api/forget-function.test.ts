import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Type } from 'typebox'
import { beforeAll, expect, test } from 'vitest'
import type { App } from '../../../src/app.ts'
import { FunctionInUse, forgetFunction } from '../../../src/streams/operate/forget.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { withBefore } from '../../harness/before-run.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const LEASE_MS = 2000
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', {
    ADMIN_TOKEN,
    STREAM_PARTITIONS: 2,
    LEASE_MS,
    MAX_EVENT_LOOP_DELAY_MS: 0
  })
  return () => api.close()
})

const forget = (name: string, from = api) =>
  from.call({
    method: 'DELETE',
    url: `/admin/functions/${name}`,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` }
  })

/** Returns a function that fails for each message, with this number of attempts. */
const failing = (name: string, stream: string, attempts: number) => (app: App) =>
  app.consume({
    name,
    stream,
    schema: Type.Object({}),
    ...(stream === 'events' && { start: 'all' as const }),
    retry: { attempts, base: 3_600_000, max: 3_600_000 },
    handler: async () => {
      throw new Error('no luck')
    }
  })

/** Appends a message to each partition of a stream. */
const add = (stream: string) =>
  Promise.all(
    [0, 1].map(partition =>
      space.redis.xadd(api.app.keys.stream(stream, partition), '*', 'v', '1', 'data', '{}', 'request_id', '')
    )
  )

/** Runs a worker with a function until the condition is true. */
const run = async (consume: (app: App) => void, what: string, condition: () => Promise<boolean>) => {
  const worker = await openApp(space, 'worker', { STREAM_PARTITIONS: 2, LEASE_MS }, consume)
  await until(what, condition).finally(() => worker.close())
}

/** Returns the data of a function of this name in each partition. */
const left = async (name: string, stream: string) => {
  const { keys } = api.app
  return Promise.all(
    [0, 1].map(async partition => ({
      groups: (await space.redis.xinfo('GROUPS', keys.stream(stream, partition))) as unknown[],
      retries: await space.redis.zcard(keys.retry(name, partition)),
      messages: await space.redis.hlen(keys.retrying(name, partition)),
      dead: await space.redis.xlen(keys.dead(name, partition)),
      waiting: await space.redis.xlen(keys.stream(stream, partition))
    }))
  )
}

test('an unknown function gets a 404, and nothing is deleted', async () => {
  expect((await forget('nobody')).statusCode).toBe(404)
  expect((await forget('No_Body')).statusCode).toBe(400)
  // A worker of an older version does not record that it consumes a queue.
  await space.redis.zadd(api.app.keys.retry('older', 0), 1, 'message')
  expect((await forget('older')).statusCode).toBe(404)
  expect(await space.redis.zcard(api.app.keys.retry('older', 0))).toBe(1)
})

test('process-orders cannot be forgotten, because its retries are orders', async () => {
  const answer = await forget('process-orders')
  expect([answer.statusCode, answer.json().title]).toEqual([409, 'The function is in use'])
})

test('a function that a worker runs cannot be forgotten, even in partitions where the worker is silent', async () => {
  const longLease = await useApp(space, 'api', {
    ADMIN_TOKEN,
    STREAM_PARTITIONS: 2,
    LEASE_MS: 600_000,
    MAX_EVENT_LOOP_DELAY_MS: 0
  })
  await add('events')
  const [first, second] = [0, 1].map(partition => api.app.keys.stream('events', partition)) as [
    string,
    string
  ]
  for (const key of [first, second]) await space.redis.xgroup('CREATE', key, 'alive', '0')
  await space.redis.xreadgroup('GROUP', 'alive', 'a-worker', 'COUNT', 1, 'STREAMS', second, '>')
  // This api has a longer lease, because the lease of the other api could end before the answer.
  const refused = await forget('alive', longLease)
  expect([refused.statusCode, refused.json().type]).toEqual([409, 'urn:orderstream:problem:function-in-use'])
  expect(await space.redis.xinfo('GROUPS', first)).toHaveLength(1)
  expect(await space.redis.xinfo('GROUPS', second)).toHaveLength(1)

  const ended = await until('its lease is over', async () => {
    const answer = await forget('alive')
    return answer.statusCode === 200 && answer.json()
  })
  expect(ended).toEqual({ function: 'alive', groups: 2, retries: 0 })
})

test('a function of a new worker with a longer lease cannot be forgotten', async () => {
  const { call, app } = await useApp(space, 'api', {
    ADMIN_TOKEN,
    STREAM_PARTITIONS: 2,
    LEASE_MS: 4000,
    MAX_EVENT_LOOP_DELAY_MS: 0
  })
  await add('events')
  const key = app.keys.stream('events', 0)
  await space.redis.xgroup('CREATE', key, 'long', '0')
  await space.redis.xreadgroup('GROUP', 'long', 'a-worker', 'COUNT', 1, 'STREAMS', key, '>')
  const idle = async () => {
    const [consumer] = (await space.redis.xinfo('CONSUMERS', key, 'long')) as unknown[][]
    return Number(consumer?.[5])
  }
  await until('the consumer is idle for longer than the lease of this api', async () => (await idle()) > 4000)
  const record = { mode: 'worker', lease: 600_000, functions: ['long'], taxRate: 0.18, database: 'other' }
  await space.redis.hset(app.keys.processes(), 'just-started', `9999999999999 ${JSON.stringify(record)}`)
  const refused = await forget('long', { ...api, call })
  await space.redis.hdel(app.keys.processes(), 'just-started')
  expect([refused.statusCode, refused.json().type]).toEqual([409, 'urn:orderstream:problem:function-in-use'])
  await space.redis.xgroup('DESTROY', key, 'long')
})

test('a group is kept in a partition where a worker starts the function during the call', async () => {
  await add('events')
  const keys = [0, 1].map(partition => api.app.keys.stream('events', partition)) as [string, string]
  for (const key of keys) await space.redis.xgroup('CREATE', key, 'raced', '0')
  let runs = 0
  const redis = withBefore(api.app.stores.redis, async () => {
    // The call has checked both partitions.
    if (++runs === 5) await space.redis.xreadgroup('GROUP', 'raced', 'c', 'COUNT', 1, 'STREAMS', keys[0], '>')
  })
  const raced = forgetFunction(
    {
      redis,
      keys: api.app.keys,
      starts: api.app.streams.starts,
      processes: { ...api.app.processes, lease: () => 600_000 },
      serviceFunctions: []
    },
    'raced'
  )
  await expect(raced).rejects.toThrow(FunctionInUse)
  const groups = (await space.redis.xinfo('GROUPS', keys[0])) as string[][]
  expect(groups.map(([, name]) => name)).toContain('raced')
  for (const key of keys) await space.redis.xgroup('DESTROY', key, 'raced')
})

test('forgetting a function on events deletes its groups and retries everywhere, but no dead letters', async () => {
  await add('events')
  await run(failing('gone', 'events', 1), 'there are dead letters', async () =>
    (await left('gone', 'events')).every(({ dead }) => dead > 0)
  )
  await add('events')
  await run(failing('gone', 'events', 8), 'there are retries', async () =>
    (await left('gone', 'events')).every(({ retries }) => retries > 0)
  )
  // An older version created the groups and recorded no consumers.
  for (const partition of [0, 1]) await space.redis.del(api.app.keys.functions(partition))
  const before = await left('gone', 'events')
  const [dead, retries] = [before.map(own => own.dead), before.map(own => own.retries)]
  const answer = await until('it is silent', async () => {
    const answer = await forget('gone')
    return answer.statusCode === 200 && answer.json()
  })
  expect(answer).toEqual({ function: 'gone', groups: 2, retries: expect.any(Number) })
  expect(api.log).toContainEqual(
    expect.objectContaining({ ...answer, level: 40, msg: 'a function was forgotten' })
  )
  expect(answer.retries).toBeGreaterThanOrEqual(2)
  const after = await left('gone', 'events')
  expect(after.map(({ groups, retries, messages }) => [groups, retries, messages])).toEqual([
    [[], 0, 0],
    [[], 0, 0]
  ])
  // All retries are dead letters now, and none was deleted.
  expect(after.map(own => own.dead)).toEqual(dead.map((count, at) => count + (retries[at] ?? 0)))
  expect((await forget('gone')).statusCode).toBe(404)
})

test('the command to forget a function on a queue keeps the messages for the next function', async () => {
  await add('stock')
  await run(failing('reserve-v1', 'stock', 8), 'there are retries', async () =>
    (await left('reserve-v1', 'stock')).every(({ retries }) => retries === 1)
  )
  await add('stock')
  await until('it is silent', async () => {
    const consumers = (await Promise.all(
      [0, 1].map(partition =>
        space.redis.xinfo('CONSUMERS', api.app.keys.stream('stock', partition), 'reserve-v1')
      )
    )) as unknown[][]
    return consumers.flat().length === 0
  })
  await api.app.listen({ port: 0 })
  const url = `http://127.0.0.1:${(api.app.server.address() as { port: number }).port}`
  const main = join(import.meta.dirname, '../../../cli/main.ts')
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [main, 'functions', 'forget', 'reserve-v1', '--url', url],
    { env: { PATH: process.env.PATH, ADMIN_TOKEN } }
  )
  expect(stdout).toBe('reserve-v1 is forgotten: 2 groups ended, 2 retries moved to its dead letters.\n')
  expect(await left('reserve-v1', 'stock')).toEqual(
    [0, 1].map(() => ({ groups: [], retries: 0, messages: 0, dead: 1, waiting: 1 }))
  )
})

test('many, large and unreadable retries become dead letters that can be redriven', async () => {
  const { keys, streams } = api.app
  const [retry, retrying] = [keys.retry('bulk', 0), keys.retrying('bulk', 0)]
  await space.redis.xgroup('CREATE', keys.stream('bulk-queue', 0), 'bulk', '0', 'MKSTREAM')
  await space.redis.sadd(keys.functions(0), 'bulk bulk-queue bulk')
  const record = (data: string) =>
    JSON.stringify({
      v: '1',
      data,
      requestId: 'r',
      traceparent: '',
      attempts: 2,
      firstAt: 1_769_860_800_123,
      taken: 3
    })
  const texts = new Map(Array.from({ length: 1200 }, (_, n) => [`${n}-0`, record(`"small ${n}"`)]))
  for (const n of [1, 2, 3]) texts.set(`large-${n}`, record(`"${'x'.repeat(3_000_000)}"`))
  texts.set('corrupt', '{"v":')
  const filling = space.redis.pipeline()
  for (const [id, text] of texts) filling.hset(retrying, id, text, `${id}#`, '4').zadd(retry, 1, id)
  await filling.exec()
  await space.redis.config('RESETSTAT')

  expect((await forget('bulk')).json()).toEqual({ function: 'bulk', groups: 1, retries: 1204 })
  expect(await space.redis.exists(retry, retrying)).toBe(0)
  expect(await space.redis.xlen(keys.dead('bulk', 0))).toBe(1204)
  const [first] = await space.redis.xrange(keys.dead('bulk', 0), '-', '+', 'COUNT', 1)
  const [deadLetter] = (await streams.deadLetters.list('bulk', '', 1)).deadLetters
  expect(deadLetter).toMatchObject({
    code: 'forgotten',
    attempts: 2,
    firstAt: 1_769_860_800_123,
    requestId: 'r'
  })
  expect(deadLetter?.cause.message).toContain('An operator ended the function')
  expect(first?.[1]).toEqual(expect.arrayContaining(['taken', '5']))
  const corrupt = (await space.redis.xrange(keys.dead('bulk', 0), '-', '+')).find(
    ([, fields]) => fields[1] === 'corrupt'
  )
  expect(corrupt?.[1]).toEqual(expect.arrayContaining(['data', '{"v":']))
  expect(await streams.deadLetters.redrive('bulk', undefined, 10_000)).toMatchObject({ count: 1204 })
  expect(await space.redis.zcard(retry)).toBe(1204)
})

test('a forgotten function that runs again starts as a new function, even after a loss of data in Redis', async () => {
  const records = () => space.sql('SELECT group_name FROM function_starts WHERE group_name = ?', ['back'])
  const { keys } = api.app
  for (const lost of [false, true]) {
    await run(
      failing('back', 'events', 1),
      'its start is recorded',
      async () => (await records()).length === 1
    )
    if (lost) {
      for (const at of [0, 1]) {
        await space.redis.xgroup('DESTROY', keys.stream('events', at), 'back')
        await space.redis.srem(keys.functions(at), 'back events back')
      }
    }
    await until('it is silent', async () => (await forget('back')).statusCode === 200)
    expect(await records()).toEqual([])
  }
  expect((await forget('back')).statusCode).toBe(404)
})
