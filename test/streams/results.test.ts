import { describe, expect, test } from 'vitest'
import { checkResult } from '../../src/streams/batch/check-result.ts'
import { type BatchResult, type Message, TerminalError } from '../../src/streams/function.ts'
import { fieldOf } from '../../src/streams/group/delivery.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, type TestFunction, useWorker } from './functions.ts'

const space = await useSpace()
const keyOf = (name: string) => `{${space.env.KEY_PREFIX}:0}:${name}`

/** Runs a function on five messages until none is left. Returns its dead letters as `n code message`. */
async function runFive(fn: TestFunction) {
  for (let n = 0; n < 5; n++) await fn.add(n)
  const { app } = await useWorker(space, fn.definition)
  await fn.settled()
  await until(
    'nothing is tried again',
    async () => (await space.redis.zcard(app.keys.retry(fn.name, 0))) === 0
  )
  const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 1000)
  return deadLetters.map(({ data, code, cause }) => `${JSON.parse(data).n} ${code} ${cause.message}`).sort()
}

/** Returns the published events of a function, sorted. */
async function eventsOf({ name }: TestFunction) {
  const events = (await space.redis.xrange(keyOf(EVENTS), '-', '+')).map(([, fields]) =>
    fieldOf(fields, 'data')
  )
  return events.filter(data => data.startsWith(name)).sort()
}

const write = (message: Message<{ n: number }>, key: string, ttl = 60_000) => ({
  message,
  key,
  value: 'v',
  ttl
})

describe('a write that Redis would refuse', () => {
  test('is detected before the batch is settled, and only its message becomes a dead letter', async () => {
    const fn: TestFunction = makeFunction(space, async messages => ({
      writes: messages.map(message =>
        write(message, keyOf(`soon:${message.body.n}`), message.body.n === 4 ? 0.5 : 60_000)
      ),
      events: messages.map(message => ({ message, data: `${fn.name} ${message.body.n}`, unless: '' }))
    }))
    expect(await runFive(fn)).toEqual([expect.stringMatching(/^4 exhausted .*writes\[0\] has the ttl 0\.5/)])
    expect(await eventsOf(fn)).toEqual([0, 1, 2, 3].map(n => `${fn.name} ${n}`))
  })

  test('fails only its message, and writes nothing for it, when only Redis can detect the fault', async () => {
    await space.redis.rpush(keyOf('list'), 'no text')
    let calls = 0
    const fn: TestFunction = makeFunction(space, async messages => {
      calls++
      return {
        // The first key shows if the event is published.
        writes: messages.flatMap(message => [
          write(message, keyOf(`shown:${message.body.n}`)),
          write(message, message.body.n === 2 ? keyOf('list') : keyOf(`other:${message.body.n}`))
        ]),
        events: messages.map(message => ({ message, data: `${fn.name} ${message.body.n}`, unless: 'v' }))
      }
    })
    expect(await runFive(fn)).toEqual([expect.stringMatching(/^2 exhausted .*WRONGTYPE/)])
    expect(await eventsOf(fn)).toEqual([0, 1, 3, 4].map(n => `${fn.name} ${n}`))
    expect(await space.redis.exists(keyOf('shown:2'), keyOf('shown:3'))).toBe(1)
    // Only the failing message runs again. The run of the batch was its first attempt.
    expect(calls).toBeLessThanOrEqual(7)
  })

  test.each([
    ['an invalid TTL', 0.5],
    ['the key of a list', 60_000]
  ])('does not prevent a dead letter for each message when onDead returns %s', async (_, ttl) => {
    await space.redis.rpush(keyOf('list'), 'no text')
    const fn = makeFunction(
      space,
      async messages => ({
        failed: messages.map(message => ({ message, cause: new TerminalError('no', 'not this one') }))
      }),
      {
        onDead: async deadLetters => ({
          writes: deadLetters.map(({ message }) => {
            const bad = (message.body as { n: number }).n === 4
            return write(message as never, keyOf(bad ? 'list' : 'noted'), bad ? ttl : 60_000)
          })
        })
      }
    )
    expect(await runFive(fn)).toEqual([0, 1, 2, 3, 4].map(n => `${n} no not this one`))
  })
})

test('a result that cannot be completely written is refused', () => {
  const [message, stranger] = ['1-1', '2-2'].map(id => ({ id })) as [Message, Message]
  const [key, value, ttl, cause] = ['a-key', 'text', 1, new Error('not this time')]
  const refused: [BatchResult, RegExp][] = [
    [
      { writes: [{ message: stranger, key, value, ttl }] },
      /writes\[0\] is of a message that is not in the batch/
    ],
    [{ events: [{ message: stranger, data: '{}', unless: '' }] }, /events\[0\] is of/],
    [{ duplicates: [message, stranger] }, /duplicates\[1\] is of/],
    [{ failed: [{ message: stranger, cause }] }, /failed\[0\] is of/],
    [{ writes: [{ message, key: '', value, ttl }] }, /has no key/],
    [{ writes: [{ message, key: undefined as never, value, ttl }] }, /has no key/],
    [{ writes: [{ message, key, value: 1 as never, ttl }] }, /has a value that is not text/],
    [
      { events: [{ message, data: {} as never, unless: '' }] },
      /events\[0\] has data or unless that is not text/
    ]
  ]
  for (const [result, fault] of refused) expect(() => checkResult(result, [message])).toThrow(fault)
  for (const wrong of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1' as never])
    expect(() => checkResult({ writes: [{ message, key, value, ttl: wrong }] }, [message])).toThrow(
      /has the ttl/
    )
  const good: BatchResult = {
    writes: [{ message, key, value, ttl }],
    events: [{ message, data: '{}', unless: '' }],
    duplicates: [message],
    failed: [{ message, cause }]
  }
  expect(checkResult(good, [message])).toBe(good)
  expect(checkResult(undefined, [message])).toEqual({})
})
