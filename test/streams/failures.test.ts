import { describe, expect, test } from 'vitest'
import { StoreRefused, StoreUnavailable } from '../../src/stores/errors.ts'
import { type BatchResult, type Message, TerminalError } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

const LONG_LEASE = { LEASE_MS: 600_000 }

describe('a message that fails', () => {
  test('is never given a message that its schema refuses: that is a dead letter', async () => {
    const seen: unknown[] = []
    const fn = makeFunction(space, async messages => {
      seen.push(...messages.map(({ body }) => body.n))
      return undefined
    })
    await fn.add('not a number')
    await fn.add(2)
    const { app } = await useWorker(space, fn.definition)
    await fn.settled()
    expect(seen).toEqual([2])
    const { deadLetters: letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(letters).toEqual([
      expect.objectContaining({
        code: 'invalid',
        attempts: 1,
        requestId: 'r-not a number',
        data: '{"n":"not a number"}'
      })
    ])
  })

  test('and names no version is a dead letter: no newer worker would know it', async () => {
    const fn = makeFunction(space, async () => undefined)
    await space.redis.xadd(fn.key, '*', 'data', '{"n":1}')
    const { app } = await useWorker(space, fn.definition)
    await fn.settled()
    const { deadLetters: letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(letters).toEqual([
      expect.objectContaining({
        code: 'invalid',
        cause: { class: 'TerminalError', message: 'the message has no version (field v)' }
      })
    ])
  })

  test('I5: one poison message in a batch of 500 holds up none of the others, and can be redriven', async () => {
    let cured = false
    const done = new Set<number>()
    const keys = new Set<string>()
    const fn = makeFunction(
      space,
      async messages => {
        for (const { body, effectKey } of messages) if (body.n === 250) keys.add(effectKey)
        if (!cured && messages.some(({ body }) => body.n === 250)) throw new RangeError('poison')
        for (const { body } of messages) done.add(body.n)
        return undefined
      },
      { batch: { size: 500, window: 50 } }
    )
    for (let n = 0; n < 500; n++) await fn.add(n)
    const { app } = await useWorker(space, fn.definition)
    const { deadLetters } = app.streams
    const name = fn.name
    const [letter] = await until('the poison is a dead letter', async () => {
      const { deadLetters: letters } = await deadLetters.list(name, '', 10)
      return letters.length > 0 && letters
    })
    // Its last attempt may be over before the others, which are done in halves of halves of the batch.
    await until('all the others are done', () => done.size === 499)
    await fn.settled()
    expect(letter).toMatchObject({
      code: 'exhausted',
      cause: { class: 'RangeError', message: 'poison' },
      attempts: 3,
      requestId: 'r-250'
    })

    cured = true
    expect(await deadLetters.redrive(name, [letter?.id ?? ''], 100)).toMatchObject({ count: 1 })
    await until('the redriven one is done', () => done.size === 500)
    expect(keys.size).toBe(1)
    await until('nothing waits', async () => (await space.redis.zcard(app.keys.retry(name, 0))) === 0)
    expect(await space.redis.exists(app.keys.retrying(name, 0))).toBe(0)
    expect((await deadLetters.list(name, '', 1)).deadLetters).toEqual([])
  })

  test('a terminal error ends a message at once, and a discarded letter keeps its reason', async () => {
    let calls = 0
    const fn = makeFunction(space, async ([message]) => {
      calls++
      return {
        failed: [
          { message: message as Message, cause: new TerminalError('no-such-card', 'the card is unknown') }
        ]
      }
    })
    await fn.add(1)
    const { app } = await useWorker(space, fn.definition)
    const { deadLetters } = app.streams
    const name = fn.name
    const [letter] = await until('it is a dead letter', async () => {
      const { deadLetters: letters } = await deadLetters.list(name, '', 10)
      return letters.length > 0 && letters
    })
    expect([calls, letter?.code]).toEqual([1, 'no-such-card'])
    expect(await deadLetters.show(name, letter?.id ?? '')).toEqual(letter)
    expect(await deadLetters.discard(name, [letter?.id ?? ''], 'paid in cash')).toMatchObject({ count: 1 })
    expect((await deadLetters.list(name, '', 1)).deadLetters).toEqual([])
    const [[, kept]] = (await space.redis.xrange(app.keys.discarded(name, 0), '-', '+')) as [
      [string, string[]]
    ]
    expect(kept).toEqual(expect.arrayContaining(['reason', 'paid in cash', 'code', 'no-such-card']))
  })

  test('that fails gets its messages again, and settles the others of the batch', async () => {
    const tries = new Map<number, number>()
    const fn = makeFunction(space, async messages => {
      const failed: BatchResult['failed'] = []
      for (const message of messages) {
        const attempt = (tries.get(message.body.n) ?? 0) + 1
        tries.set(message.body.n, attempt)
        if (message.body.n === 3 && attempt < 3) failed.push({ message, cause: new Error('not yet') })
      }
      return { failed }
    })
    for (let n = 0; n < 5; n++) await fn.add(n)
    await useWorker(space, fn.definition)
    await until('the failing one is done, too', () => tries.get(3) === 3)
    expect([...tries].sort()).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 3],
      [4, 1]
    ])
  })

  test('that throws what is no error, or gives it as a cause, makes a dead letter of it all the same', async () => {
    const thrown = [undefined, 'plain text', { code: 7 }]
    const fn = makeFunction(space, async ([message]) => {
      const { body } = message as Message<{ n: number }>
      if (body.n < 3) throw thrown[body.n]
      return { failed: [{ message: message as Message, cause: undefined as unknown as Error }] }
    })
    for (let n = 0; n < 4; n++) await fn.add(n)
    const { app } = await useWorker(space, { ...fn.definition, batch: { size: 1, window: 0 } })
    const letters = await until('they are dead letters', async () => {
      const page = await app.streams.deadLetters.list(fn.name, '', 10)
      return page.deadLetters.length === 4 && page.deadLetters
    })
    expect(letters.map(({ code, cause }) => `${code}: ${cause.message}`).sort()).toEqual([
      'exhausted: plain text',
      'exhausted: undefined',
      'exhausted: undefined',
      'exhausted: { code: 7 }'
    ])
  })

  test('on which the filter throws holds up none of the others', async () => {
    const seen: number[] = []
    const fn = makeFunction(
      space,
      async messages => {
        seen.push(...messages.map(({ body }) => body.n))
        return undefined
      },
      {
        batch: { size: 10, window: 50 },
        filter: (({ n }: { n: number }) => {
          if (n === 1) throw new RangeError('not foreseen')
          return n !== 2
        }) as never
      }
    )
    for (let n = 0; n < 4; n++) await fn.add(n)
    const { app } = await useWorker(space, fn.definition)
    const [letter] = await until('the culprit is a dead letter', async () => {
      const { deadLetters: letters } = await app.streams.deadLetters.list(fn.name, '', 10)
      return letters.length > 0 && letters
    })
    expect(letter).toMatchObject({ code: 'exhausted', cause: { class: 'RangeError' }, attempts: 3 })
    expect(new Set(seen)).toEqual(new Set([0, 3]))
    await fn.settled()
  })

  test('that hangs past its timeout is aborted, and its messages come again', async () => {
    let calls = 0
    let aborted = false
    const fn = makeFunction(space, async () => undefined, {
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
    await useWorker(space, fn.definition)
    await until('it is tried again', () => calls === 2)
    expect([calls, aborted]).toEqual([2, true])
  })
})

test('a store that refuses is asked after growing pauses; it costs no attempts, and is logged once', async () => {
  const tries: number[] = []
  const fn = makeFunction(space, async () => {
    tries.push(performance.now())
    if (tries.length <= 6) throw new StoreRefused('mysql', new Error('read-only'))
    return undefined
  })
  for (let n = 0; n < 3; n++) await fn.add(n)
  // So long a lease that the whole batch is done when the store is back, and not when it is taken over.
  const { app, log } = await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  await fn.settled()
  // A pause may take longer, but never less.
  const pauses = tries.slice(1, 7).map((at, index) => at - (tries[index] as number))
  const least = [50, 100, 200, 400, 800, 1600]
  expect(pauses.filter((pause, index) => pause < (least[index] as number) - 1)).toEqual([])
  expect((await app.streams.deadLetters.list(fn.name, '', 10)).deadLetters).toEqual([])
  expect(log.filter(({ function: name, level }) => name === fn.name && Number(level) > 30)).toEqual([
    expect.objectContaining({ store: 'mysql', msg: 'the function waits for a store that takes no writes' })
  ])
  expect(log.filter(({ msg }) => msg === 'the function goes on')).toHaveLength(1)
})

test('I8: a worker that stops while a store is away does stop, and another one has its messages at once', async () => {
  let away = true
  let done = 0
  const fn = makeFunction(space, async messages => {
    if (away) throw new StoreRefused('mysql', new Error('read-only'))
    done += messages.length
    return undefined
  })
  for (let n = 0; n < 3; n++) await fn.add(n)
  const first = await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  const [consumer] = first.app.streams.consumers.filter(({ definition }) => definition.name === fn.name)
  await until('it waits', () => consumer?.waitingFor() === 'mysql')
  await first.close()
  away = false
  await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  await fn.settled()
  expect(done).toBe(3)
})

test('a handler that gets no answer from a store which is up is called anew, which costs an attempt the third time', async () => {
  const attempts: number[] = []
  const fn = makeFunction(
    space,
    async ([message]) => {
      attempts.push(message?.attempt ?? 0)
      throw new StoreUnavailable('mysql', new Error('a connection broke'))
    },
    { retry: { attempts: 2, base: 1, max: 1 } }
  )
  await fn.add(1)
  const { app } = await useWorker(space, fn.definition)
  const [letter] = await until('it is a dead letter', async () => {
    const { deadLetters: letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    return letters.length > 0 && letters
  })
  expect(letter).toMatchObject({ code: 'exhausted', attempts: 2 })
  expect(attempts).toEqual([1, 1, 1, 2, 2, 2])
})
