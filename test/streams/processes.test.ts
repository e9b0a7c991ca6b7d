import { expect, test } from 'vitest'
import { openApp, useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()
const DIFFERS =
  'LEASE_MS differs among the workers (500, 4000): the longest holds. Start all of them with the same.'

test('a worker with a short lease does not claim from a worker with a long lease, and both report the difference', {
  timeout: 60_000
}, async () => {
  const { promise: over, resolve: end } = Promise.withResolvers<void>()
  let calls = 0
  const fn = makeFunction(
    space,
    async () => {
      calls++
      await over
      return undefined
    },
    { timeout: 60_000, concurrency: 1, batch: { size: 1, window: 0 } }
  )
  const long = await openApp(space, 'worker', { LEASE_MS: 4000 }, app => app.consume(fn.definition))
  const id = await fn.add(1)
  await until('it runs', () => calls === 1)
  const [[, owner]] = (await space.redis.xpending(fn.key, fn.name, '-', '+', 1)) as [[string, string]]
  const short = await openApp(space, 'worker', { LEASE_MS: 500 }, app => app.consume(fn.definition))
  const reported = ({ log }: typeof long) => log.filter(({ msg }) => msg === DIFFERS).length
  await until('both report it', () => reported(long) + reported(short) === 2)
  for (const { call } of [long, short])
    expect((await call('/health')).json()).toMatchObject({ status: 'healthy', warnings: [DIFFERS] })

  // By now, the message is idle for longer than the short lease.
  await space.redis.xclaim(fn.key, fn.name, owner, 0, id, 'IDLE', 1500, 'JUSTID')
  const before = await scans()
  await until('its pending messages were searched', async () => (await scans()) > before + 12)
  expect(calls).toBe(1)
  end()
  await fn.settled()

  await long.close()
  await until('it is over', async () => (await short.call('/health')).json().warnings === undefined)
  const agree = 'the processes that run agree on a setting again'
  expect(short.log.filter(({ msg }) => msg === agree)).toHaveLength(1)
  await short.close()
})

/** Returns the number of searches for pending messages in this Redis. */
async function scans(): Promise<number> {
  const stats = await space.redis.info('commandstats')
  return Number(/^cmdstat_xpending:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
}

test('apis with different tax rates report the difference, but two texts for the same rate are allowed', async () => {
  const warnings = async ({ call }: Awaited<ReturnType<typeof openApp>>) =>
    (await call('/health')).json().warnings
  const cheap = await useApp(space, 'api', { TAX_RATE: '0.10' })
  const same = await useApp(space, 'api', { TAX_RATE: '0.1' })
  await until(
    'they know of each other',
    async () => (await space.redis.hlen(same.app.keys.processes())) === 2
  )
  expect([await warnings(cheap), await warnings(same)]).toEqual([undefined, undefined])
  const dear = await useApp(space, 'api', { TAX_RATE: '0.2' })
  const text = 'TAX_RATE differs among the apis: an order has the rate of the one that accepts it.'
  for (const api of [cheap, dear])
    await until('it is reported', async () => String(await warnings(api)).startsWith(text))
})

test('a process whose database has another name is reported', async () => {
  const { app, call } = await useApp(space, 'worker')
  const other = { mode: 'worker', lease: 30_000, functions: [], taxRate: 0.18, database: 'other' }
  await space.redis.hset(app.keys.processes(), 'other', `9999999999999 ${JSON.stringify(other)}`)
  const text =
    'DB_NAME differs among the processes: they share orders in Redis alone. Start all of them with the same.'
  await until('it is reported', async () => (await call('/health')).json().warnings?.includes(text))
})

test('the record of a process is removed at once when it stops, and after some time when it is killed', async () => {
  const key = `{${space.env.KEY_PREFIX}:0}:processes`
  await space.redis.del(key)
  await space.redis.hset(key, 'killed', '1 {"mode":"worker","lease":9000,"functions":["process-orders"]}')
  const worker = await openApp(space, 'worker', { LEASE_MS: 500 })
  await until('it is recorded', async () => (await space.redis.hkeys(key)).join() === worker.app.processName)
  expect(await space.redis.pttl(key)).toBeGreaterThan(500)
  await worker.close()
  expect(await space.redis.exists(key)).toBe(0)
})

test('unreadable records of processes delay no worker', async () => {
  const records = ['x', '9999999999999 {"mode":', 'y', '9999999999999 {"lease":1}']
  const refused = /^The background task processes does not run: redis refuses .*WRONGTYPE/
  for (const [name, write, warnings] of [
    ['unreadable', (key: string) => space.redis.hset(key, ...records), undefined],
    ['no-hash', (key: string) => space.redis.set(key, 'text'), [expect.stringMatching(refused)]]
  ] as const) {
    const KEY_PREFIX = await useOtherPrefix(space, name)
    await write(`{${KEY_PREFIX}:0}:processes`)
    let calls = 0
    const own = { ...space, env: { ...space.env, KEY_PREFIX } }
    const fn = makeFunction(own, async () => {
      calls++
      return undefined
    })
    const { call } = await useApp(own, 'worker', { KEY_PREFIX }, app => app.consume(fn.definition))
    await fn.add(1)
    await until('it is handled', () => calls === 1)
    expect((await call('/health')).json().warnings).toEqual(warnings)
  }
})
