import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import type { Message } from '../../src/streams/function.ts'
import { PublishRefused } from '../../src/streams/publish.ts'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useOtherPrefix, useSpace } from '../harness/space.ts'

const space = await useSpace()
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Starts a worker with a function that collects the messages of `stream`. */
async function useCollector(stream: string, overrides: Record<string, unknown> = {}, version = ['1', '2']) {
  const seen: Message[] = []
  const { app } = await useApp(space, 'worker', overrides, app =>
    app.consume({
      name: stream,
      stream,
      version,
      schema: Type.Object({ n: Type.Integer() }),
      handler: async messages => {
        seen.push(...messages)
      }
    })
  )
  return { app, seen }
}

describe('app.publish', () => {
  test('passes a body, its version and its origin to the function on the queue', async () => {
    const { app, seen } = await useCollector('published')
    const plain = await app.publish('published', { n: 1 })
    const origin = { requestId: 'r-2', traceparent: TRACE }
    const full = await app.publish('published', { n: 2 }, { version: '2', origin })
    await until('both are handled', () => seen.length === 2)
    expect(seen).toMatchObject([
      { id: plain, body: { n: 1 }, version: '1', requestId: '', traceparent: '' },
      { id: full, body: { n: 2 }, version: '2', requestId: 'r-2', traceparent: TRACE }
    ])
  })

  test('passes on the request id and the trace of the current request or message', async () => {
    const { app: worker, seen } = await useCollector('caused')
    const api = await useApp(space, 'api', {}, app => {
      app.post('/caused', { config: { scope: 'none' }, schema: { hide: true } }, async request => ({
        id: await app.publish('caused', { n: 3 }, { origin: request })
      }))
    })
    const headers = { 'x-request-id': 'r-3', traceparent: TRACE }
    await api.app.inject({ method: 'POST', url: '/caused', headers })
    const first = await until('it is handled', () => seen[0])
    await worker.publish('caused', { n: 4 }, { origin: first })
    await until('the next one is handled', () => seen.length === 2)
    const origin = { requestId: 'r-3', traceparent: TRACE }
    expect(seen).toMatchObject([
      { body: { n: 3 }, ...origin },
      { body: { n: 4 }, ...origin, version: '1' }
    ])
  })

  test('sends messages of one key to one partition, and uses all partitions without a key', async () => {
    const KEY_PREFIX = await useOtherPrefix(space, 'keyed')
    const { app } = await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 3 })
    const lengths = (stream: string) =>
      Promise.all([0, 1, 2].map(partition => space.redis.xlen(app.keys.stream(stream, partition))))
    for (let n = 0; n < 20; n++) await app.publish('keyed', { n }, { key: 'one' })
    const keyed = await lengths('keyed')
    expect(keyed[app.keys.partitionOf('one')]).toBe(20)
    for (let n = 0; n < 200; n++) await app.publish('random', { n })
    expect(Math.min(...(await lengths('random')))).toBeGreaterThan(0)
  })

  test.for<[why: string, stream: string, body: unknown, options: object, message: RegExp]>([
    ['a stream of the service', 'placed', {}, {}, /only the service writes to it/],
    ['the log of events', 'events', {}, {}, /only the service writes to it/],
    ['a key of the service', 'settled', {}, {}, /keys of the service/],
    ['a name with a colon', 'doc:x', {}, {}, /named by 1 to 64/],
    ['an empty version', 'refused', {}, { version: '' }, /its version/],
    ['no body', 'refused', undefined, {}, /its body is undefined/],
    ['a body with a BigInt', 'refused', { n: 1n }, {}, /cannot be written as JSON/],
    ['a body above 8 MiB', 'refused', 'x'.repeat(8 * 1024 * 1024), {}, /larger than 8388608 bytes/]
  ])('refuses %s and sends nothing', async ([, stream, body, options, message]) => {
    const { app } = await useApp(space, 'api')
    const error = await app.publish(stream, body, options).catch(error => error)
    expect(error).toBeInstanceOf(PublishRefused)
    expect(error.message).toMatch(message)
    expect(await space.redis.exists(app.keys.stream('refused', 0))).toBe(0)
  })

  test('throws while Redis is unavailable, and a route then answers 503', async () => {
    const { app } = await useApp(space, 'api', { REDIS_PORT: NOWHERE }, app => {
      app.post('/unsent', { config: { scope: 'none' }, schema: { hide: true } }, () =>
        app.publish('unsent', { n: 1 })
      )
    })
    await expect(app.publish('unsent', { n: 1 })).rejects.toBeInstanceOf(StoreUnavailable)
    const answer = await app.inject({ method: 'POST', url: '/unsent' })
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
  })
})
