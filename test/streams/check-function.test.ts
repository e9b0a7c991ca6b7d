import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { LARGEST_BATCH } from '../../schema/config/function.ts'
import { FunctionRefused } from '../../src/streams/check-function.ts'
import type { StreamFunction } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** A valid function, except for what the caller overrides. */
const like = (overrides: Record<string, unknown>) =>
  ({ ...makeFunction(space, async () => undefined).definition, ...overrides }) as StreamFunction

describe('app.consume refuses', () => {
  test.each([
    [
      'a name that the admin routes refuse',
      { name: 'Reserve_Stock' },
      /name must match.*a–z, 0–9 and hyphens/
    ],
    [
      'a stream whose key has another structure',
      { stream: 'accepted' },
      /stream must match.*keys of the service/
    ],
    ['a stream with a colon in its name', { stream: 'dead:x' }, /stream must match/],
    [
      'the stream of orders',
      { stream: 'placed' },
      /placed and process-orders belong to each other.*Take events/
    ],
    ['the name of the function of orders', { name: 'process-orders' }, /belong to each other/],
    [
      'a batch that no script can settle',
      { batch: { size: 9000, window: 0 } },
      /batch\.size must be <= 5000/
    ],
    ['no batch', { batch: { size: 0, window: 0 } }, /batch\.size must be >= 1/],
    ['a window over its limit', { batch: { size: 1, window: 5000 } }, /batch\.window must be <= 250/],
    ['a concurrency that is not an integer', { concurrency: 0.5 }, /concurrency must be integer/],
    ['no attempts', { retry: { attempts: 0, base: 1, max: 1 } }, /retry\.attempts must be >= 1/],
    ['endless pauses', { retry: { attempts: 1, base: 1, max: Infinity } }, /retry\.max must be/],
    ['an invalid timeout', { timeout: Number.NaN }, /timeout must be/],
    ['an unknown option', { batchSize: 5 }, /batchSize is not an option.* is batch\.size\./],
    ['an option of another object', { attempts: 5 }, /attempts is not an option.* is retry\.attempts\./],
    ['an unknown option of batch', { batch: { sise: 5 } }, /batch\.sise is not an option.* is batch\.size\./],
    ['a typing error in `events`', { stream: 'event' }, /stream: event is .* from events\. Write events/],
    ['`events` in capitals', { stream: 'EVENTS' }, /stream: EVENTS is .* from events/],
    ['a typing error in `placed`', { stream: 'places' }, /stream: places is .* from placed/],
    ['no stream', { stream: undefined }, /stream is missing/],
    ['no handler', { handler: undefined }, /handler is missing.*It is called with each batch/],
    ['an invalid handler', { handler: {} }, /handler must be a function/],
    ['an invalid filter', { filter: 'all' }, /filter must be a function/],
    ['no schema', { schema: undefined }, /schema is missing.*Type\.Object/],
    ['an invalid schema', { schema: 'object' }, /schema must be a JSON Schema/],
    [
      'properties without a schema',
      { schema: { n: Type.Integer() } },
      /schema has none of the words.*only n\./
    ],
    ['a schema of another library', { schema: new (class Zod {})() }, /schema must be a JSON Schema/],
    [
      'a schema that cannot be compiled',
      { schema: { type: 'string', pattern: '(' } },
      /schema cannot be compiled/
    ],
    ['a batch that is a number', { batch: 5 }, /batch must be object/],
    ['attempts as text', { retry: { attempts: '8' } }, /retry\.attempts must be integer/]
  ])('%s', async (_what, overrides, reason) => {
    await useApp(space, 'api', {}, app => {
      expect(() => app.consume(like(overrides))).toThrow(FunctionRefused)
      expect(() => app.consume(like(overrides))).toThrow(reason)
    })
  })

  test('a function without a definition', async () => {
    await useApp(space, 'api', {}, app => {
      expect(() => app.consume(undefined as never)).toThrow(/a function without a name:\n.*one object/)
      expect(() => app.consume('events' as never)).toThrow(FunctionRefused)
      const { name: _, ...nameless } = like({})
      expect(() => app.consume(nameless as never)).toThrow(/name is missing/)
    })
  })

  test('a definition with several faults, and names each of them', async () => {
    await useApp(space, 'api', {}, app => {
      const faulty = like({ name: 'Wrong', stream: 'placed', timeout: 0 })
      expect(() => app.consume(faulty)).toThrow(/name must.*\n.*timeout must.*\n.*stream: placed/)
    })
  })

  test('a name that another function has, and a queue or group that another function consumes', async () => {
    await useApp(space, 'api', {}, app => {
      const [first, listener] = [like({}), like({ stream: 'events' })]
      app.consume(first)
      app.consume(listener)
      expect(() => app.consume(like({ name: first.name }))).toThrow(/name: another function has it already/)
      expect(() => app.consume(like({ stream: first.stream }))).toThrow(`${first.name} consumes it already`)
      expect(() => app.consume(like({ stream: 'events', group: listener.name }))).toThrow(
        `${listener.name} reads events in the group ${listener.name} already`
      )
      expect(() => app.consume(like({ stream: 'events' }))).not.toThrow()
    })
  })

  test('a second function with the group or the name of process-orders', async () => {
    await useApp(space, 'worker', {}, app => {
      expect(() => app.consume(like({ stream: 'placed', group: 'process-orders' }))).toThrow(FunctionRefused)
      expect(() => app.consume(like({ name: 'process-orders', stream: 'placed' }))).toThrow(FunctionRefused)
    })
  })
})

test('batch and retry get defaults that fit the given values', async () => {
  const { app } = await useApp(space, 'api', {}, app => {
    app.consume(like({ batch: { size: 1 }, retry: { attempts: 20 } }))
    app.consume(like({ batch: { window: 0 }, retry: { base: 60_000 }, timeout: undefined, group: undefined }))
    app.consume(like({ batch: undefined, retry: { max: 100 }, stream: 'evening' }))
  })
  const settings = app.streams.consumers.map(({ definition: { batch, retry, timeout, name, group } }) => {
    expect(group).toBe(name)
    return { batch, retry, timeout }
  })
  expect(settings).toEqual([
    { batch: { size: 1, window: 5 }, retry: { attempts: 20, base: 200, max: 30_000 }, timeout: 5000 },
    { batch: { size: 100, window: 0 }, retry: { attempts: 8, base: 60_000, max: 60_000 }, timeout: 30_000 },
    { batch: { size: 100, window: 5 }, retry: { attempts: 8, base: 100, max: 100 }, timeout: 5000 }
  ])
})

test('a batch of the largest size is settled with an event and a key for each message', async () => {
  let largest = 0
  const fn = makeFunction(
    space,
    async messages => {
      largest = Math.max(largest, messages.length)
      return {
        events: messages.map(message => ({ message, data: '{}', unless: '' })),
        writes: messages.map(message => ({
          message,
          key: `{${space.env.KEY_PREFIX}:0}:written:${message.id}`,
          value: 'x',
          ttl: 60_000
        }))
      }
    },
    { batch: { size: LARGEST_BATCH, window: 0 } }
  )
  const count = LARGEST_BATCH
  const filling = space.redis.pipeline()
  for (let n = 0; n < count; n++) filling.xadd(fn.key, '*', ...fn.fields(n))
  await filling.exec()
  // The lease is long because this work may block the event loop for longer than half of a short lease.
  const { log } = await useApp(space, 'worker', { LEASE_MS: 4000 }, app => app.consume(fn.definition))
  await fn.settled()
  expect(largest).toBe(LARGEST_BATCH)
  await until(
    'the events are there',
    async () => (await space.redis.xlen(`{${space.env.KEY_PREFIX}:0}:events`)) === count
  )
  expect(await space.redis.keys(`{${space.env.KEY_PREFIX}:0}:written:*`)).toHaveLength(count)
  expect(log.filter(({ level }) => Number(level) >= 40)).toEqual([])
})
