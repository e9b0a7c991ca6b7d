import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until } from '../harness/space.ts'
import { makeFunction } from '../streams/functions.ts'
import { keyOf } from './evidence.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

/** Redis keeps fewer events than this while no function reads them. */
const UNREAD = 11_000

test('a function waits and logs it once while a full Redis refuses to create its group, and events are still trimmed', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const first = await useApp(space, 'worker')
  await first.close()
  const seen: number[] = []
  const fn = makeFunction(space, async messages => {
    seen.push(...messages.map(({ body }) => body.n))
    return undefined
  })
  const events = keyOf(space, 'events')
  const entries = space.redis.pipeline()
  for (let n = 0; n < UNREAD; n++) entries.xadd(events, '*', ...fn.fields(n))
  await entries.exec()
  await space.redis.config('SET', 'maxmemory', 1_000_000)

  const { app, log, call } = await useApp(space, 'worker', { LEASE_MS: 500 }, app =>
    app.consume(fn.definition)
  )
  const [consumer] = app.streams.consumers.filter(({ definition }) => definition.name === fn.name)
  const refusals = async () => {
    const stats = await space.redis.info('commandstats')
    return Number(/^cmdstat_xgroup\|create:.*rejected_calls=(\d+)/m.exec(stats)?.[1] ?? 0)
  }
  await until(
    'the group was refused',
    async () => (await refusals()) > 0 && consumer?.waitingFor() === 'redis'
  )
  expect((await call('/health')).json().functions).toContainEqual({
    name: fn.name,
    state: 'paused',
    reason: 'redis refuses what is needed of it (OOM); the log has the details'
  })
  await until('the events are trimmed', async () => (await space.redis.xlen(events)) < UNREAD)
  const before = await refusals()
  await until('the worker has tried again', async () => (await refusals()) > before + 1)
  const warnings = log.filter(line => line.function === fn.name && line.err)
  expect(warnings.map(({ msg }) => msg)).toEqual(['the function waits for a store that refuses writes'])
  expect(log.filter(({ task }) => task)).toEqual([])

  await space.redis.config('SET', 'maxmemory', 0)
  await fn.add(1)
  await until('the message is processed', () => seen.includes(1))
  await until('the function no longer waits', () => consumer?.waitingFor() === undefined)
})
