import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { OrderEvent } from '../../schema/messages/order-event.ts'
import type { Consumer } from '../../src/streams/consume/consumer.ts'
import type { StreamFunction } from '../../src/streams/function.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { freePort } from '../../tools/local/ports.ts'
import { openApp, type TestApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()
let worker: TestApp

beforeAll(async () => {
  worker = await openApp(space, 'worker')
})
afterAll(() => worker.close())

describe('a stream function', () => {
  test('processes the messages that were added before its group, and deletes them', async () => {
    const seen: number[] = []
    const fn = makeFunction(space, async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    for (let n = 0; n < 25; n++) await fn.add(n)
    await useWorker(space, fn.definition)
    await fn.settled()
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, n) => n))
  })

  test('fills its first batch from the backlog, although its first read asks for few messages', async () => {
    const sizes: number[] = []
    const fn = makeFunction(
      space,
      async messages => {
        sizes.push(messages.length)
        return undefined
      },
      { batch: { size: 100, window: 0 } }
    )
    for (let n = 0; n < 150; n++) await fn.add(n)
    await useWorker(space, fn.definition)
    await fn.settled()
    expect(sizes).toEqual([100, 50])
  })

  test('continues after its group or its stream is deleted', async () => {
    const seen: number[] = []
    const fn = makeFunction(space, async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await fn.add(1)
    await useWorker(space, fn.definition)
    await fn.settled()
    await space.redis.xgroup('DESTROY', fn.key, fn.name)
    await fn.add(2)
    await until('the message after the group was lost', () => seen.includes(2))
    await space.redis.del(fn.key)
    await fn.add(3)
    await until('the message after the stream was lost', () => seen.includes(3))
    await fn.settled()
  })

  test('leaves a message to a newer worker while the rest of the batch still runs', async () => {
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const handler = async () => {
      await over
      return undefined
    }
    const fn = makeFunction(space, handler, { timeout: 60_000 })
    await fn.add(1, '99')
    await fn.add(2)
    const { app } = await useWorker(space, fn.definition)
    const { member } = app.streams.consumers.find(({ definition }) => definition.name === fn.name) as Consumer
    const renew = vi.spyOn(member, 'renew')
    const renewed = () => renew.mock.lastCall?.[0].map(({ record }) => record.data)
    await until('only the lease of the other one is renewed', () => renewed()?.join() === '{"n":2}')
    end()
    await until('the other one is done', async () => (await space.redis.xlen(fn.key)) === 1)
  })

  test('gets each message of a log with several functions', async () => {
    const api = await useApp(space, 'api')
    await useWorker(space, makeFunction(space, async () => undefined).definition)
    // The test compares sets, because a slow Redis may cause a second publication.
    const seen = new Map([
      ['one', new Set<string>()],
      ['two', new Set<string>()]
    ])
    const listener = (name: string): StreamFunction => ({
      name,
      stream: 'events',
      schema: OrderEvent,
      filter: event => (event as OrderEvent).type === 'order.completed',
      handler: async messages => {
        for (const { body } of messages) seen.get(name)?.add((body as OrderEvent).subject)
      }
    })
    await useApp(space, 'worker', {}, app => {
      app.consume(listener('one'))
      app.consume(listener('two'))
    })
    for (let n = 0; n < 5; n++) await api.post({ order_id: `seen-${n}`, amount: 1 })
    await until('both have seen all', () => [...seen.values()].every(ids => ids.size === 5))
    expect([...(seen.get('one') ?? [])].sort()).toEqual(['seen-0', 'seen-1', 'seen-2', 'seen-3', 'seen-4'])
  })

  test('renews its lease during a long run, so the message runs once', async () => {
    let calls = 0
    let release = () => {}
    const fn = makeFunction(space, async () => {
      calls++
      await new Promise<void>(resolve => {
        release = resolve
      })
      return undefined
    })
    await fn.add(1)
    const other = await useWorker(space, fn.definition)
    await useWorker(space, fn.definition)
    await until('it runs', () => calls === 1)
    const pending = async () =>
      ((await space.redis.xpending(fn.key, fn.name, '-', '+', 1)) as [[string, string, number, number]])[0]
    const idle = async () => (await pending())[2]
    // The test waits for three renewals. Each renewal lowers the idle time.
    for (let last = await idle(), falls = 0; falls < 6; ) {
      const now = await idle()
      if (now < last) falls++
      last = now
    }
    // If a renewal counted as a delivery, a message with a long run would become a suspect.
    expect((await pending())[3]).toBe(1)
    release()
    await fn.settled()
    expect(calls).toBe(1)
    expect(other.app.config.LEASE_MS).toBe(500)
  })
})

describe('a consumer', () => {
  test('publishes an event unless the first written key already had the value that marks it as published', async () => {
    const { keys } = worker.app
    const { redis } = worker.app.stores
    const fn = makeFunction(space, async () => undefined)
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = createGroupMember({
      redis,
      keys,
      definition,
      partition: 0,
      consumer: 'c',
      lease: () => 60_000
    })
    await member.join()
    const [out, other] = ['out', 'other'].map(name => `{${space.env.KEY_PREFIX}:0}:published:${name}`)
    const publish = async (...written: (string | undefined)[]) => {
      await space.redis.mset(out as string, 'published before', other as string, 'not published')
      const before = await space.redis.xlen(keys.stream(EVENTS, 0))
      const id = await fn.add(1)
      await space.redis.xreadgroup('GROUP', fn.name, 'c', 'STREAMS', fn.key, '>')
      await member.settle([
        {
          delivery: { source: 'stream', id, token: '' },
          outcome: { kind: 'done' },
          counts: [],
          writes: written.map(key => ({ key: key as string, value: 'published', ttl: 60_000 })),
          events: [{ data: '{}', unless: 'published', message: { requestId: '', traceparent: '' } }]
        }
      ])
      return (await space.redis.xlen(keys.stream(EVENTS, 0))) - before
    }
    expect(await publish(out, other)).toBe(0)
    expect(await publish(other, out)).toBe(1)
    // The value before the batch decides, even if a message is in the batch twice.
    expect(await publish(other, other)).toBe(1)
  })

  test('is paused while Redis is unavailable, and health shows it', async () => {
    const { call } = await useApp(space, 'worker', { REDIS_PORT: await freePort() })
    expect((await call('/health')).json()).toMatchObject({
      status: 'degraded',
      functions: [{ name: 'process-orders', state: 'paused' }]
    })
  })

  test('I8: finishes its messages in flight on a stop, takes no new messages, and leaves the group', async () => {
    let release = () => {}
    let calls = 0
    const fn = makeFunction(
      space,
      async () => {
        calls++
        await new Promise<void>(resolve => {
          release = resolve
        })
        return undefined
      },
      { concurrency: 1 }
    )
    await fn.add(1)
    const { app } = await openApp(space, 'worker', {}, app => app.consume(fn.definition))
    await until('the first message is in flight', () => calls === 1)
    await fn.add(2)
    const closed = app.drain().then(() => app.close())
    release()
    await closed
    expect(calls).toBe(1)
    expect(await space.redis.xlen(fn.key)).toBe(1)
    expect(await space.redis.xinfo('CONSUMERS', fn.key, fn.name)).toEqual([])
  })
})
