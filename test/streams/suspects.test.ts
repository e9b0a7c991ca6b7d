import { describe, expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { SUSPECT_DELIVERIES } from '../../src/streams/group/delivery.ts'
import { createGroupMember, type TakeMode } from '../../src/streams/group/member.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, type TestFunction } from './functions.ts'

const space = await useSpace()

/** With this lease, only messages that another worker left are taken over at once. */
const LEASE_MS = 600_000

/** Adds messages that a killed worker left, with these numbers of deliveries. Returns their ids. */
async function leave(fn: TestFunction, ...deliveries: number[]): Promise<string[]> {
  await space.redis.xgroup('CREATE', fn.key, fn.name, '0', 'MKSTREAM').catch(() => {})
  // This is one step, because a waiting worker would otherwise take the messages first.
  const added = space.redis.multi()
  for (const n of deliveries.keys()) added.xadd(fn.key, '*', ...fn.fields(n))
  added.xreadgroup('GROUP', fn.name, 'dead', 'COUNT', deliveries.length, 'STREAMS', fn.key, '>')
  const replies = (await added.exec()) as [null, string][]
  const ids = replies.slice(0, -1).map(([, id]) => id)
  for (const [n, id] of ids.entries()) {
    const lapsed = ['IDLE', LEASE_MS, 'RETRYCOUNT', deliveries[n] as number, 'JUSTID'] as const
    await space.redis.xclaim(fn.key, fn.name, 'dead', 0, id, ...lapsed)
  }
  return ids
}

/** Adds a retry with this number of deliveries without an outcome. Returns the key where the retry waits. */
async function retryLater({ keys }: App, { name }: TestFunction, id: string, taken: number): Promise<string> {
  const record = { v: '1', data: '{"n":2}', requestId: '', traceparent: '', attempts: 1, firstAt: 1 }
  await space.redis.hset(keys.retrying(name, 0), id, JSON.stringify({ ...record, taken: -taken }))
  await space.redis.zadd(keys.retry(name, 0), 0, id)
  return keys.retry(name, 0)
}

const deliveriesOf = async ({ key, name }: TestFunction, id: string) =>
  ((await space.redis.xpending(key, name, id, id, 1)) as [[string, string, number, number]])[0][3]

describe('a suspect', () => {
  test('runs in a batch of its own, after the messages that are not suspects', async () => {
    const batches: number[][] = []
    const fn = makeFunction(space, async messages => void batches.push(messages.map(({ body }) => body.n)))
    const tried = SUSPECT_DELIVERIES - 1
    await leave(fn, tried, tried - 1, tried, tried - 1)
    await useApp(space, 'worker', { LEASE_MS }, app => app.consume(fn.definition))
    await fn.settled()
    expect(batches).toEqual([[1, 3], [0], [2]])
  })

  test('waits while a suspect of another function runs in its process, and delays no other message', async () => {
    const steps: string[] = []
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const first = makeFunction(space, async () => {
      steps.push('first begins')
      await over
      steps.push('first ends')
      return undefined
    })
    // With batches of one message, a suspect that waits must not hide other messages.
    const second = makeFunction(
      space,
      async messages => void steps.push(`second has ${messages.map(({ body }) => body.n)}`),
      { batch: { size: 1, window: 0 } }
    )
    const tried = SUSPECT_DELIVERIES - 1
    await leave(first, tried)
    const { app } = await useApp(space, 'worker', { LEASE_MS: 2000 }, app => {
      app.consume(first.definition)
      app.consume(second.definition)
    })
    await until('the first one runs', () => steps.length === 1)

    const [suspect = ''] = await leave(second, tried, 0)
    const retry = await retryLater(app, second, '1-1', tried)
    await retryLater(app, second, '1-2', 0)
    await until('the others of the second function are done', () => steps.length === 3)
    expect(steps.slice(1).sort()).toEqual(['second has 1', 'second has 2'])
    expect(await deliveriesOf(second, suspect)).toBe(tried)
    expect(await space.redis.zcard(retry)).toBe(1)

    end()
    await second.settled()
    await until('the retry is done, too', async () => (await space.redis.zcard(retry)) === 0)
    expect(steps.slice(3).sort()).toEqual(['first ends', 'second has 0', 'second has 2'])
  })

  test('is taken from the retries only when no other retry is due', async () => {
    const fn = makeFunction(space, async () => undefined)
    const { app } = await useApp(space, 'worker')
    const { keys } = app
    const { redis } = app.stores
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = createGroupMember({
      redis,
      keys,
      definition,
      partition: 0,
      consumer: 'c',
      lease: () => LEASE_MS
    })
    const tried = SUSPECT_DELIVERIES - 1
    for (const id of ['1-1', '1-2']) await retryLater(app, fn, id, tried)
    const retry = await retryLater(app, fn, '1-3', 0)
    const take = async (count: number, which: TakeMode) => {
      const { deliveries, suspects } = await member.takeRetries(count, [], which)
      return [...deliveries.map(({ id }) => id), suspects]
    }
    // This holds even when the worker asks for one message.
    expect(await take(1, 'safe')).toEqual(['1-3', 2])
    expect(await take(10, 'safe')).toEqual([2])
    expect(await take(10, 'suspect')).toEqual(['1-1', 1])
    await space.redis.zadd(retry, 0, '1-3')
    expect(await take(10, 'suspect')).toEqual(['1-3', 1])
    expect(await take(10, 'suspect')).toEqual(['1-2', 0])
    expect(await take(10, 'suspect')).toEqual([0])
  })

  test('finally becomes a dead letter without onDead, because onDead may be the cause of the crash', async () => {
    const notified: unknown[] = []
    const attempts = 2
    const fn = makeFunction(space, async () => undefined, {
      retry: { attempts, base: 1, max: 1 },
      onDead: async deadLetters => {
        notified.push(...deadLetters.map(({ message }) => (message.body as { n: number }).n))
        return {}
      }
    })
    const last = SUSPECT_DELIVERIES + 2 * attempts - 1
    await leave(fn, last - 1, last)
    const { app } = await useApp(space, 'worker', { LEASE_MS }, app => app.consume(fn.definition))
    await fn.settled()
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(deadLetters.map(({ code }) => code)).toEqual(['crashed', 'crashed'])
    expect(notified).toEqual([0])
  })
})
