import { expect, test } from 'vitest'
import { TerminalError } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()
const REASON = 'redis refuses what is needed of it (NOPERM); the log has the details'

/** Makes a Redis user with all permissions for the running test, and returns functions that change them. */
async function makeUser(name: string) {
  const user = `${space.env.KEY_PREFIX}-${name}`
  const may = (...rules: string[]) => space.redis.call('ACL', 'SETUSER', user, ...rules)
  await may('on', '>secret', '~*', '&*', '+@all')
  /** Returns the number of commands that Redis has refused this user, alone or in a script. */
  const refusals = async (command: string) => {
    const entries = (await space.redis.call('ACL', 'LOG')) as (string | number)[][]
    const field = (entry: (string | number)[], name: string) => entry[entry.indexOf(name) + 1]
    return entries
      .filter(
        entry => field(entry, 'username') === user && String(field(entry, 'object')).startsWith(command)
      )
      .reduce((sum, entry) => sum + Number(field(entry, 'count')), 0)
  }
  return { may, refusals, env: { REDIS_USERNAME: user, REDIS_PASSWORD: 'secret', LEASE_MS: 500 } }
}

test.each([
  ['xreadgroup', 'xreadgroup'],
  ['@blocking', 'xreadgroup'],
  ['xpending', 'xpending'],
  ['zrange', 'zrange'],
  ['xgroup', 'xgroup'],
  ['evalsha', 'evalsha']
])(
  'a worker logs once that Redis refuses %s, shows it in health and metrics, and continues when it is permitted',
  { timeout: 60_000 },
  async (rule, command) => {
    const { may, refusals, env } = await makeUser(rule)
    const seen: number[] = []
    const fn = makeFunction(space, async messages => void seen.push(...messages.map(({ body }) => body.n)))
    const { log, call } = await useApp(space, 'worker', env, app => app.consume(fn.definition))
    const own = () => log.filter(line => line.function === fn.name)
    const health = async () => {
      const { status, functions } = (await call('/health')).json()
      return { status, ...functions.find((each: { name: string }) => each.name === fn.name) }
    }
    const metric = async () => (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body
    await fn.add(1)
    await fn.settled()

    await may(`-${rule}`)
    // The worker does not create a group that exists already.
    if (rule === 'xgroup') await space.redis.xgroup('DESTROY', fn.key, fn.name)
    await until('health shows it', async () => (await health()).reason === REASON)
    expect(await health()).toMatchObject({ status: 'degraded', state: 'paused' })
    expect(await metric()).toContain(`orderstream_function_paused{function="${fn.name}"} 1`)
    const before = await refusals(command)
    await until('it has asked again', async () => (await refusals(command)) > before + 4)
    const lines = own().filter(({ level, msg }) => Number(level) > 30 && msg !== 'the consumer group is gone')
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the function waits for a store that does not permit what it needs'
    ])

    await may('+@all')
    await fn.add(2)
    await fn.settled()
    expect(seen).toEqual([1, 2])
    await until('it is healthy', async () => (await health()).status === 'healthy')
    expect(await metric()).toContain(`orderstream_function_paused{function="${fn.name}"} 0`)
    expect(own().filter(({ msg }) => msg === 'the function continues')).toHaveLength(1)
  }
)

test('a settlement changes nothing until Redis permits all of its commands', {
  timeout: 60_000
}, async () => {
  const { may, env } = await makeUser('xack')
  const fn = makeFunction(space, async () => {
    throw new TerminalError('refused', 'it can never succeed')
  })
  const { log, call } = await useApp(space, 'worker', env, app => app.consume(fn.definition))
  const waits = () => log.some(({ msg }) => String(msg).startsWith('the function waits'))
  await may('-xack')
  await fn.add(1)
  await until('it waits', waits)
  const state = async () => (await call('/health')).json().functions
  expect(await state()).toContainEqual({ name: fn.name, state: 'paused', reason: REASON })
  const dead = `{${space.env.KEY_PREFIX}:0}:dead:${fn.name}`
  expect(await space.redis.xlen(dead)).toBe(0)
  await may('+@all')
  await fn.settled()
  expect(await space.redis.xlen(dead)).toBe(1)
})

test('a client without permission to read its own id still reads messages', async () => {
  const { may, env } = await makeUser('client')
  await may('-client|id')
  const fn = makeFunction(space, async () => undefined)
  await fn.add(1)
  await useApp(space, 'worker', env, app => app.consume(fn.definition))
  await fn.settled()
})

test('health names a background task that Redis refuses, and the log has it once', async () => {
  const { may, refusals, env } = await makeUser('xtrim')
  await may('-xinfo')
  const { log, call } = await useApp(space, 'worker', env)
  const warning = `The background task streams does not run: ${REASON}.`
  await until('health shows it', async () => (await call('/health')).json().warnings?.includes(warning))
  const before = await refusals('xinfo')
  await until('it has tried again', async () => (await refusals('xinfo')) > before + 2)
  expect(log.filter(({ task, level }) => task === 'streams' && Number(level) > 30)).toHaveLength(1)
  await may('+@all')
  await until('it runs', async () => !(await call('/health')).json().warnings?.includes(warning))
  expect(
    log.filter(({ msg, task }) => task === 'streams' && msg === 'background task runs again')
  ).toHaveLength(1)
})

test('an api accepts orders in MySQL when Redis refuses them, and reports the reason', async () => {
  const { may, env } = await makeUser('xadd')
  const { log, post, call } = await useApp(space, 'api', env)
  await may('-xadd')
  for (const order_id of ['refused-1', 'refused-2']) {
    const response = await post({ order_id, amount: 1 })
    expect([response.statusCode, response.headers.durability]).toEqual([202, 'mysql'])
  }
  const warning = `Orders are accepted in MySQL: ${REASON}.`
  expect((await call('/health')).json()).toMatchObject({ status: 'degraded', warnings: [warning] })
  expect(log.filter(({ msg }) => msg === 'Redis refuses orders, which are accepted in MySQL')).toHaveLength(1)
  await may('+@all')
  expect((await post({ order_id: 'taken-1', amount: 1 })).headers.durability).not.toBe('mysql')
  const health = (await call('/health')).json()
  expect([health.status, health.warnings]).toEqual(['healthy', undefined])
  expect(log.filter(({ msg }) => msg === 'Redis takes orders again')).toHaveLength(1)
})
