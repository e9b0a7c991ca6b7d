import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchResult, Message, StreamFunction } from '../../src/streams/function.ts'
import { createGroupMember } from '../../src/streams/group.ts'
import { openApp, type TestApp, useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'

const space = await useSpace()
const Body = Type.Object({ n: Type.Integer() }, { additionalProperties: false })
let worker: TestApp

beforeAll(async () => {
  worker = await openApp(space, 'worker')
})
afterAll(() => worker.close())

let count = 0
/** A stream that no other test uses, and a function on it that remembers what it was given. */
function makeFunction(
  handler: (messages: Message<{ n: number }>[]) => Promise<BatchResult | undefined>,
  overrides: Partial<StreamFunction> = {}
) {
  const stream = `stream-${++count}`
  const key = `{${space.env.KEY_PREFIX}:0}:${stream}`
  return {
    key,
    add: (n: unknown, version = '1') =>
      space.redis.xadd(
        key,
        '*',
        'v',
        version,
        'data',
        JSON.stringify({ n }),
        'request_id',
        `r-${n}`,
        'traceparent',
        ''
      ),
    definition: {
      name: 'fn',
      stream,
      schema: Body,
      version: '1',
      batch: { size: 10, window: 0 },
      concurrency: 2,
      timeout: 5000,
      handler,
      ...overrides
    } as unknown as StreamFunction
  }
}

/** A worker with that function, too. */
async function useWorker(definition: StreamFunction, overrides: Record<string, unknown> = {}) {
  return useApp(space, 'worker', { LEASE_MS: 500, ...overrides }, app => app.consume(definition))
}

const settled = (key: string) => until(`${key} is empty`, async () => (await space.redis.xlen(key)) === 0)

describe('a stream function', () => {
  test('gets what was on the stream before its group was made, and what is done is deleted', async () => {
    const seen: number[] = []
    const fn = makeFunction(async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    for (let n = 0; n < 25; n++) await fn.add(n)
    await useWorker(fn.definition)
    await settled(fn.key)
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, n) => n))
  })

  test('goes on when its group, or its whole stream, is destroyed', async () => {
    const seen: number[] = []
    const fn = makeFunction(async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await fn.add(1)
    await useWorker(fn.definition)
    await settled(fn.key)
    await space.redis.xgroup('DESTROY', fn.key, 'fn')
    await fn.add(2)
    await until('the message after the group was lost', () => seen.includes(2))
    await space.redis.del(fn.key)
    await fn.add(3)
    await until('the message after the stream was lost', () => seen.includes(3))
    await settled(fn.key)
  })

  test('is never given a message that its schema refuses or whose version it does not know; those stay pending', async () => {
    const seen: unknown[] = []
    const fn = makeFunction(async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await fn.add('not a number')
    await fn.add(1, '99')
    await fn.add(2)
    const { log } = await useWorker(fn.definition)
    await until('the good one is settled', async () => (await space.redis.xlen(fn.key)) === 2)
    expect(seen).toEqual([2])
    await until(
      'both are reported',
      () =>
        log.some(({ err }) => (err as Error)?.name === 'InvalidMessage') &&
        log.some(({ err }) => (err as Error)?.name === 'UnknownVersion')
    )
  })

  test('that fails gets its messages again, and settles the others of the batch', async () => {
    const tries = new Map<number, number>()
    const fn = makeFunction(async messages => {
      const failed: BatchResult['failed'] = []
      for (const message of messages) {
        const attempt = (tries.get(message.body.n) ?? 0) + 1
        tries.set(message.body.n, attempt)
        if (message.body.n === 3 && attempt < 3) failed.push({ message, cause: new Error('not yet') })
      }
      return { failed }
    })
    for (let n = 0; n < 5; n++) await fn.add(n)
    await useWorker(fn.definition)
    await settled(fn.key)
    expect([...tries].sort()).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 3],
      [4, 1]
    ])
  })

  test('that hangs past its timeout is aborted, and its messages come again', async () => {
    let calls = 0
    let aborted = false
    const fn = makeFunction(async () => undefined, {
      timeout: 200,
      handler: async (_messages, { signal }) => {
        if (++calls > 1) return
        signal.addEventListener('abort', () => {
          aborted = true
        })
        await new Promise(() => {})
      }
    })
    await fn.add(1)
    await useWorker(fn.definition)
    await settled(fn.key)
    expect([calls, aborted]).toEqual([2, true])
  })

  test('that takes longer than its lease runs once: the lease is renewed', async () => {
    let calls = 0
    let release = () => {}
    const fn = makeFunction(async () => {
      calls++
      await new Promise<void>(resolve => {
        release = resolve
      })
      return undefined
    })
    await fn.add(1)
    const other = await useWorker(fn.definition)
    await useWorker(fn.definition)
    await until('it runs', () => calls === 1)
    const idle = async () =>
      Number(((await space.redis.xpending(fn.key, 'fn', '-', '+', 1)) as [[string, string, number]])[0][2])
    // Three renewals, counted by the idle time falling.
    for (let last = await idle(), falls = 0; falls < 6; ) {
      const now = await idle()
      if (now < last) falls++
      last = now
    }
    release()
    await settled(fn.key)
    expect(calls).toBe(1)
    expect(other.app.config.LEASE_MS).toBe(500)
  })
})

describe('a consumer', () => {
  test('takes over what a dead one left', async () => {
    const seen: number[] = []
    const fn = makeFunction(async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await space.redis.xgroup('CREATE', fn.key, 'fn', '0', 'MKSTREAM')
    for (let n = 0; n < 30; n++) await fn.add(n)
    await space.redis.xreadgroup('GROUP', 'fn', 'dead', 'COUNT', 30, 'STREAMS', fn.key, '>')
    await useWorker(fn.definition)
    await settled(fn.key)
    expect(seen).toHaveLength(30)
  })

  test('that lost its lease can end nothing', async () => {
    const fn = makeFunction(async () => undefined)
    const id = (await fn.add(1)) as string
    const member = (name: string) => createGroupMember(worker.app.redis, fn.key, 'fn', name)
    const [slow, quick] = [member('slow'), member('quick')]
    await slow.join()
    await space.redis.xreadgroup('GROUP', 'fn', 'slow', 'COUNT', 1, 'STREAMS', fn.key, '>')
    await quick.claim(0, '0-0', 10)
    const document = `{${space.env.KEY_PREFIX}:0}:doc:x`
    const message = { id, body: {}, requestId: '', traceparent: '' }
    const write = (value: string) => [{ message, key: document, value, ttl: 60_000 }]
    expect(await slow.settle([id], write('slow'))).toEqual([])
    expect([await space.redis.xlen(fn.key), await space.redis.get(document)]).toEqual([1, null])
    await slow.renew([id])
    expect(await quick.settle([id], write('quick'))).toEqual([id])
    expect([await space.redis.xlen(fn.key), await space.redis.get(document)]).toEqual([0, 'quick'])
    expect(await slow.settle([id], write('slow again'))).toEqual([])
    expect(await space.redis.get(document)).toBe('quick')
  })

  test('I8: that stops finishes what it has in hand, takes nothing new, and leaves the group', async () => {
    let release = () => {}
    let calls = 0
    const fn = makeFunction(
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
    await until('the first message is in hand', () => calls === 1)
    await fn.add(2)
    const closed = app.close()
    release()
    await closed
    expect(calls).toBe(1)
    expect(await space.redis.xlen(fn.key)).toBe(1)
    expect(await space.redis.xinfo('CONSUMERS', fn.key, 'fn')).toEqual([])
  })
})

describe('STREAM_PARTITIONS', () => {
  test('spreads orders over slots, and all of them are processed', async () => {
    const overrides = { STREAM_PARTITIONS: 4, KEY_PREFIX: `${space.env.KEY_PREFIX}.four` }
    const api = await useApp(space, 'api', overrides)
    await useApp(space, 'worker', overrides)
    const ids = Array.from({ length: 40 }, (_, index) => `part-${index}`)
    expect(new Set(ids.map(api.app.keys.partitionOf))).toEqual(new Set([0, 1, 2, 3]))
    await Promise.all(ids.map(order_id => api.post({ order_id, amount: 1 })))
    await until(
      'all are completed',
      async () =>
        (await space.sql<{ n: number }>("SELECT COUNT(*) AS n FROM orders WHERE order_id LIKE 'part-%'"))[0]
          ?.n === 40
    )
  })

  test('cannot change while orders wait', async () => {
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.changed`
    const before = await openApp(space, 'api', { KEY_PREFIX })
    await before.post({ order_id: 'waits', amount: 1 })
    await before.close()
    const changed = await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })
    expect((await changed.call('/health')).json().services.redis).toBe('disconnected')
    expect(
      changed.log.some(({ err }) => (err as Error)?.message.includes('Start with STREAM_PARTITIONS=1'))
    ).toBe(true)
    expect((await changed.post({ order_id: 'waits-too', amount: 1 })).statusCode).toBe(503)
  })
})
