import { describe, expect, test } from 'vitest'
import { StoreRefused, StoreUnavailable } from '../../src/stores/errors.ts'
import { type BatchResult, type Message, TerminalError } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

const LONG_LEASE = { LEASE_MS: 600_000 }

describe('a worker', () => {
  test('dead-letters a message that fails its schema, without a call of the handler', async () => {
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
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(deadLetters).toEqual([
      expect.objectContaining({
        code: 'invalid',
        attempts: 1,
        requestId: 'r-not a number',
        data: '{"n":"not a number"}'
      })
    ])
  })

  test('dead-letters a message without a version', async () => {
    const fn = makeFunction(space, async () => undefined)
    await space.redis.xadd(fn.key, '*', 'data', '{"n":1}')
    const { app } = await useWorker(space, fn.definition)
    await fn.settled()
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(deadLetters).toEqual([
      expect.objectContaining({
        code: 'invalid',
        cause: { class: 'TerminalError', message: 'the message has no version (field v)' }
      })
    ])
  })

  test('I5: completes 499 messages and dead-letters a poison message, which can be redriven', async () => {
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
    const [deadLetter] = await until('the poison is a dead letter', async () => {
      const { deadLetters: found } = await deadLetters.list(name, '', 10)
      return found.length > 0 && found
    })
    // The poison message may use its last attempt first, because the batch is halved again and again.
    await until('all the others are done', () => done.size === 499)
    await fn.settled()
    expect(deadLetter).toMatchObject({
      code: 'exhausted',
      cause: { class: 'RangeError', message: 'poison' },
      attempts: 3,
      requestId: 'r-250'
    })

    cured = true
    expect(await deadLetters.redrive(name, [deadLetter?.id ?? ''], 100)).toMatchObject({ count: 1 })
    await until('the redriven one is done', () => done.size === 500)
    expect(keys.size).toBe(1)
    await until('nothing waits', async () => (await space.redis.zcard(app.keys.retry(name, 0))) === 0)
    expect(await space.redis.exists(app.keys.retrying(name, 0))).toBe(0)
    expect((await deadLetters.list(name, '', 1)).deadLetters).toEqual([])
  })

  test('dead-letters a message at once after a TerminalError, and records the reason of a discard', async () => {
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
    const [deadLetter] = await until('it is a dead letter', async () => {
      const { deadLetters: found } = await deadLetters.list(name, '', 10)
      return found.length > 0 && found
    })
    expect([calls, deadLetter?.code]).toEqual([1, 'no-such-card'])
    expect(await deadLetters.show(name, deadLetter?.id ?? '')).toEqual(deadLetter)
    expect(await deadLetters.discard(name, [deadLetter?.id ?? ''], 'paid in cash')).toMatchObject({
      count: 1
    })
    expect((await deadLetters.list(name, '', 1)).deadLetters).toEqual([])
    const [[, kept]] = (await space.redis.xrange(app.keys.discarded(name, 0), '-', '+')) as [
      [string, string[]]
    ]
    expect(kept).toEqual(expect.arrayContaining(['reason', 'paid in cash', 'code', 'no-such-card']))
  })

  test('retries the failed messages of a batch, and settles the other messages', async () => {
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

  test('dead-letters a message whose cause is not an Error', async () => {
    const thrown = [undefined, 'plain text', { code: 7 }]
    const fn = makeFunction(space, async ([message]) => {
      const { body } = message as Message<{ n: number }>
      if (body.n < 3) throw thrown[body.n]
      return { failed: [{ message: message as Message, cause: undefined as unknown as Error }] }
    })
    for (let n = 0; n < 4; n++) await fn.add(n)
    const { app } = await useWorker(space, { ...fn.definition, batch: { size: 1, window: 0 } })
    const deadLetters = await until('they are dead letters', async () => {
      const page = await app.streams.deadLetters.list(fn.name, '', 10)
      return page.deadLetters.length === 4 && page.deadLetters
    })
    expect(deadLetters.map(({ code, cause }) => `${code}: ${cause.message}`).sort()).toEqual([
      'exhausted: plain text',
      'exhausted: undefined',
      'exhausted: undefined',
      'exhausted: { code: 7 }'
    ])
  })

  test('settles the other messages when the filter throws for one message', async () => {
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
    const [deadLetter] = await until('the culprit is a dead letter', async () => {
      const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
      return deadLetters.length > 0 && deadLetters
    })
    expect(deadLetter).toMatchObject({ code: 'exhausted', cause: { class: 'RangeError' }, attempts: 3 })
    expect(new Set(seen)).toEqual(new Set([0, 3]))
    await fn.settled()
  })

  test('aborts a handler after its timeout, and retries its messages', async () => {
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

test('a function waits longer and longer for a store that refuses, spends no attempts, and logs it once', async () => {
  const tries: number[] = []
  const fn = makeFunction(space, async () => {
    tries.push(performance.now())
    if (tries.length <= 6) throw new StoreRefused('mysql', new Error('read-only'))
    return undefined
  })
  for (let n = 0; n < 3; n++) await fn.add(n)
  // With this lease, no takeover can finish the batch. It finishes because the store is available again.
  const { app, log } = await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  await fn.settled()
  // A pause may be longer than planned, but never shorter.
  const pauses = tries.slice(1, 7).map((at, index) => at - (tries[index] as number))
  const least = [50, 100, 200, 400, 800, 1600]
  expect(pauses.filter((pause, index) => pause < (least[index] as number) - 1)).toEqual([])
  expect((await app.streams.deadLetters.list(fn.name, '', 10)).deadLetters).toEqual([])
  expect(log.filter(({ function: name, level }) => name === fn.name && Number(level) > 30)).toEqual([
    expect.objectContaining({ store: 'mysql', msg: 'the function waits for a store that refuses writes' })
  ])
  expect(log.filter(({ msg }) => msg === 'the function continues')).toHaveLength(1)
})

test('I8: a worker stops while a store is unavailable, and another worker gets its messages at once', async () => {
  let unavailable = true
  let done = 0
  const fn = makeFunction(space, async messages => {
    if (unavailable) throw new StoreRefused('mysql', new Error('read-only'))
    done += messages.length
    return undefined
  })
  for (let n = 0; n < 3; n++) await fn.add(n)
  const first = await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  const [consumer] = first.app.streams.consumers.filter(({ definition }) => definition.name === fn.name)
  await until('it waits', () => consumer?.waitingFor() === 'mysql')
  await first.close()
  unavailable = false
  await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  await fn.settled()
  expect(done).toBe(3)
})

test('a handler runs again when an available store does not answer, and the third time costs an attempt', async () => {
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
  const [deadLetter] = await until('it is a dead letter', async () => {
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    return deadLetters.length > 0 && deadLetters
  })
  expect(deadLetter).toMatchObject({ code: 'exhausted', attempts: 2 })
  expect(attempts).toEqual([1, 1, 1, 2, 2, 2])
})
