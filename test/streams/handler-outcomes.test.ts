import { expect, test } from 'vitest'
import { StoreRefused } from '../../src/stores/errors.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

test.each([
  ['a result of another platform', () => ({ batchItemFailures: [] })],
  ['a misspelt list', () => ({ failures: [] })],
  ['an array', () => [{ status: 'rejected', reason: new Error('no') }]],
  ['an error', () => new Error('no')],
  ['text', () => 'ok'],
  ['a number', () => 0],
  ['null', () => null]
])('a handler that returns %s counts as failed', async (_what, result) => {
  const fn = makeFunction(space, async () => result() as never, { retry: { attempts: 1, base: 1, max: 1 } })
  await fn.add(1)
  const { app } = await useWorker(space, fn.definition)
  await fn.settled()
  const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
  expect(deadLetters).toMatchObject([{ code: 'exhausted', cause: { class: 'ResultRefused' } }])
})

test.each([
  [
    'anywhere among causes',
    (error: Error) => [1, 2, 3, 4, 5, 6].reduce(cause => new Error('outer', { cause }), error)
  ],
  ['in an AggregateError', (error: Error) => new AggregateError([new Error('other'), error])]
])('an error of a store %s costs no attempt', async (_what, wrap) => {
  const attempts: number[] = []
  const fn = makeFunction(
    space,
    async ([message]) => {
      attempts.push(message?.attempt ?? 0)
      if (attempts.length < 3) throw wrap(new StoreRefused('mysql', new Error('read-only')))
      return undefined
    },
    { retry: { attempts: 1, base: 1, max: 1 } }
  )
  await fn.add(1)
  const { app } = await useWorker(space, fn.definition)
  await fn.settled()
  expect(attempts).toEqual([1, 1, 1])
  expect((await app.streams.deadLetters.list(fn.name, '', 10)).deadLetters).toEqual([])
})

test('the messages of a batch that times out then run alone, still on their first attempt', async () => {
  const calls: string[] = []
  const fn = makeFunction(space, async () => undefined, {
    batch: { size: 10, window: 50 },
    concurrency: 1,
    timeout: 300,
    retry: { attempts: 1, base: 1, max: 1 },
    handler: async (messages, { signal }) => {
      calls.push(messages.map(({ body, attempt }) => `${(body as { n: number }).n}#${attempt}`).join())
      if (messages.length > 1)
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  for (let n = 0; n < 4; n++) await fn.add(n)
  const { app } = await useWorker(space, fn.definition)
  await until('each ran alone', () => calls.length === 5)
  expect(calls[0]).toBe('0#1,1#1,2#1,3#1')
  expect(calls.slice(1).sort()).toEqual(['0#1', '1#1', '2#1', '3#1'])
  await until('nothing waits', async () => (await space.redis.zcard(app.keys.retry(fn.name, 0))) === 0)
})

test('a handler does not run again when its result cannot be settled', async () => {
  let calls = 0
  const fn = makeFunction(space, async ([message]) => {
    calls++
    return { events: message ? [{ message, data: '{}', unless: '' }] : [] }
  })
  const events = `{${space.env.KEY_PREFIX}:0}:events`
  await space.redis.del(events)
  await space.redis.set(events, 'no stream')
  await fn.add(1)
  const { app } = await useWorker(space, fn.definition)
  const own = () => app.streams.consumers.find(({ definition }) => definition.name === fn.name)
  await until('it waits', () => own()?.waitingFor() === 'redis')
  // After a lease, the message would be delivered again.
  await new Promise(resolve => setTimeout(resolve, 1500))
  await space.redis.del(events)
  await fn.settled()
  expect(calls).toBe(1)
})
