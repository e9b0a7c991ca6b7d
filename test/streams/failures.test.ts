import { describe, expect, test } from 'vitest'
import { StoreRefused, StoreUnavailable } from '../../src/stores/errors.ts'
import { type BatchResult, type Message, TerminalError } from '../../src/streams/function.ts'
import { useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'
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
    const { letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(letters).toEqual([
      expect.objectContaining({
        code: 'invalid',
        attempts: 1,
        request_id: 'r-not a number',
        data: '{"n":"not a number"}'
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
      const { letters } = await deadLetters.list(name, '', 10)
      return letters.length > 0 && letters
    })
    expect(done.size).toBe(499)
    expect(letter).toMatchObject({
      code: 'exhausted',
      cause: { class: 'RangeError', message: 'poison' },
      attempts: 3,
      request_id: 'r-250'
    })
    expect(await space.redis.xlen(fn.key)).toBe(0)

    cured = true
    expect(await deadLetters.redrive(name, [letter?.id ?? ''], 100)).toBe(1)
    await until('the redriven one is done', () => done.size === 500)
    expect(keys.size).toBe(1)
    await until('nothing waits', async () => (await space.redis.zcard(app.keys.retry(name, 0))) === 0)
    expect(await space.redis.exists(app.keys.retrying(name, 0))).toBe(0)
    expect((await deadLetters.list(name, '', 1)).letters).toEqual([])
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
      const { letters } = await deadLetters.list(name, '', 10)
      return letters.length > 0 && letters
    })
    expect([calls, letter?.code]).toEqual([1, 'no-such-card'])
    expect(await deadLetters.show(name, letter?.id ?? '')).toEqual(letter)
    expect(await deadLetters.discard(name, [letter?.id ?? ''], 'paid in cash')).toBe(1)
    expect((await deadLetters.list(name, '', 1)).letters).toEqual([])
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

/** Dead letters of a function as it would have left them. */
const bury = (key: string, count: number) =>
  space.redis.eval(
    `for i = 1, ${count} do redis.call('XADD', KEYS[1], '*', 'id', '7-' .. i, 'taken', '1', 'first_at', '1') end`,
    1,
    key
  )

test('redriven letters come back one after the other at the given rate, over all partitions', async () => {
  const KEY_PREFIX = `${space.env.KEY_PREFIX}.rate`
  const { keys, streams } = (await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })).app
  for (const partition of [0, 1]) await bury(keys.dead('gone', partition), 2)
  expect(await streams.deadLetters.redrive('gone', undefined, 1)).toBe(4)
  const dues = await Promise.all(
    [0, 1].map(async partition => {
      const found = await space.redis.zrange(keys.retry('gone', partition), '0', '-1', 'WITHSCORES')
      return found.filter((_, index) => index % 2 === 1).map(Number)
    })
  )
  const [first, second, third, fourth] = dues.flat() as [number, number, number, number]
  expect([second - first, fourth - third]).toEqual([1000, 1000])
  expect(third - second).toBeGreaterThanOrEqual(1000)
})

test('letters are listed once each, page by page, and all of them are redriven, however many', async () => {
  const env = { KEY_PREFIX: `${space.env.KEY_PREFIX}.many`, STREAM_PARTITIONS: 2 }
  const { keys, streams } = (await useApp(space, 'api', env)).app
  for (const partition of [0, 1]) await bury(keys.dead('gone', partition), 600)
  const ids: string[] = []
  for (let after = ''; ; ) {
    const { letters, next } = await streams.deadLetters.list('gone', after, 250)
    ids.push(...letters.map(({ id }) => id))
    if (next === '') break
    after = next
  }
  expect([ids.length, new Set(ids).size]).toEqual([1200, 1200])
  expect(await streams.deadLetters.redrive('gone', undefined, 1000)).toBe(1200)
})

test('of discarded letters the newest ones are kept', async () => {
  const { keys, streams } = (await useApp(space, 'api')).app
  await bury(keys.discarded('gone', 0), 10_500)
  await bury(keys.dead('gone', 0), 1)
  const { letters } = await streams.deadLetters.list('gone', '', 10)
  const ids = letters.map(({ id }) => id)
  expect(await streams.deadLetters.discard('gone', ids, 'a test')).toBe(1)
  expect(await space.redis.xlen(keys.discarded('gone', 0))).toBeLessThan(10_500)
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
  expect((await app.streams.deadLetters.list(fn.name, '', 10)).letters).toEqual([])
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
    const { letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    return letters.length > 0 && letters
  })
  expect(letter).toMatchObject({ code: 'exhausted', attempts: 2 })
  expect(attempts).toEqual([1, 1, 1, 2, 2, 2])
})

test('a letter that its function fails to take note of holds up no other, and is one in the end', async () => {
  const fn = makeFunction(space, async () => undefined, {
    retry: { attempts: 2, base: 1, max: 1 },
    handler: async messages => ({
      failed: messages.map(message => ({ message, cause: new TerminalError('no', 'never') }))
    }),
    onDead: async letters => {
      if (letters.some(({ message }) => (message.body as { n: number }).n === 1))
        throw new Error('not this one')
      return {}
    }
  })
  for (const n of [1, 2]) await fn.add(n)
  const { app } = await useApp(space, 'worker', LONG_LEASE, app => app.consume(fn.definition))
  const letters = await until('both are dead letters', async () => {
    const { letters } = await app.streams.deadLetters.list(fn.name, '', 10)
    return letters.length === 2 && letters
  })
  expect(letters).toMatchObject([
    { data: '{"n":2}', code: 'no', attempts: 1 },
    { data: '{"n":1}', code: 'no', attempts: 4 }
  ])
})
