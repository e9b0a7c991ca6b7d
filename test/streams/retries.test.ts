import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Consumer } from '../../src/streams/consume/consumer.ts'
import { resolveFunction } from '../../src/streams/function.ts'
import {
  type Delivery,
  fromRetry,
  type RetryRecord,
  SUSPECT_DELIVERIES
} from '../../src/streams/group/delivery.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { deadOutcome, retryOutcome } from '../../src/streams/group/outcomes.ts'
import type { Outcome } from '../../src/streams/group/settlement.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, type TestFunction, useWorker } from './functions.ts'

const space = await useSpace()

const RECORD: RetryRecord = {
  v: '1',
  data: '{"n":1}',
  requestId: 'r-1',
  traceparent: 'a-trace',
  ordinal: 'e:7',
  attempts: 1,
  firstAt: 1,
  taken: 0,
  redriven: ''
}

const NOTHING = { deliveries: [], suspects: 0 }

/** Adds a message that waits for its second attempt and is due now. */
async function addRetry(fn: TestFunction, record: Partial<RetryRecord> = {}) {
  const [retry, id] = [`{${space.env.KEY_PREFIX}:0}:retry:${fn.name}`, '1-1']
  const retrying = `{${space.env.KEY_PREFIX}:0}:retrying:${fn.name}`
  await space.redis.hset(retrying, id, JSON.stringify({ ...RECORD, ...record }))
  await space.redis.zadd(retry, 0, id)
  return {
    due: async () => Number(await space.redis.zscore(retry, id)),
    waits: async () => (await space.redis.zscore(retry, id)) !== null,
    letItsLeaseLapse: () => space.redis.zadd(retry, 0, id)
  }
}

describe('a retry', () => {
  test('I5: runs as soon as it is due, while another message of its first batch still runs', async () => {
    const seen: string[] = []
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const fn = makeFunction(
      space,
      async ([message, sibling]) => {
        if (!message || sibling) throw new Error('one of us is bad')
        const { body, attempt } = message
        seen.push(`${body.n}#${attempt}`)
        if (body.n === 1 && attempt === 1) throw new Error('bad, but only once')
        if (body.n === 2) await over
        return undefined
      },
      { batch: { size: 2, window: 0 }, timeout: 60_000 }
    )
    for (const n of [1, 2]) await fn.add(n)
    const { app } = await useWorker(space, fn.definition)
    const { member } = app.streams.consumers.find(({ definition }) => definition.name === fn.name) as Consumer
    const renew = vi.spyOn(member, 'renew')
    await until('it was tried again', () => seen.includes('1#2'))
    expect(seen).toEqual(['1#1', '2#1', '1#2'])
    const renewed = () => renew.mock.lastCall?.[0].map(({ record }) => record.data)
    await until('only the lease of the other one is renewed', () => renewed()?.join() === '{"n":2}')
    end()
    await fn.settled()
  })

  test('runs once even if its lease expires during the run', async () => {
    let calls = 0
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const fn = makeFunction(space, async () => {
      calls++
      await over
      return undefined
    })
    const message = await addRetry(fn)
    // With this lease, no renewal happens during the test.
    await useApp(space, 'worker', { LEASE_MS: 600_000 }, app => app.consume(fn.definition))
    await until('it runs', () => calls === 1)
    await message.letItsLeaseLapse()
    await until('the worker has found it', async () => (await message.due()) > 0)
    end()
    await until('it is settled', async () => !(await message.waits()))
    expect(calls).toBe(1)
  })

  test('runs alone after several deliveries without an outcome, so a crash affects no other message', async () => {
    const steps: string[] = []
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const fn = makeFunction(space, async ([message]) => {
      steps.push(`${message?.body.n} begins`)
      if (message?.body.n === 2) await over
      steps.push(`${message?.body.n} ends`)
      return undefined
    })
    await fn.add(2)
    const { app } = await useWorker(space, fn.definition)
    const { member } = app.streams.consumers.find(({ definition }) => definition.name === fn.name) as Consumer
    const renew = vi.spyOn(member, 'renew')
    await until('the other one runs', () => steps.length === 1)
    const suspect = await addRetry(fn, { taken: 1 - SUSPECT_DELIVERIES })
    await until('both are in flight', () => renew.mock.lastCall?.[0].length === 2)
    end()
    await until('it is settled', async () => !(await suspect.waits()))
    expect(steps).toEqual(['2 begins', '2 ends', '1 begins', '1 ends'])
  })

  test('becomes a dead letter with the code crashed if no attempt that runs alone has an outcome', async () => {
    const attempts = 3
    const runs: string[] = []
    const make = () =>
      makeFunction(space, async () => void runs.push('run'), {
        retry: { attempts, base: 1, max: 1 },
        // A filter may also be the cause of a crash.
        filter: () => runs.push('filter') > 0
      })
    const [last, over] = [make(), make()]
    const taken = 1 - (SUSPECT_DELIVERIES - 1) - attempts
    const tried = await addRetry(last, { taken })
    await useWorker(space, last.definition)
    await until('it was tried', async () => !(await tried.waits()))
    expect(runs).toEqual(['filter', 'run'])
    await addRetry(over, { taken: taken - 1 })
    const { app } = await useWorker(space, over.definition)
    const { deadLetters } = app.streams
    const [deadLetter] = await until('it is a dead letter', async () => {
      const { deadLetters: found } = await deadLetters.list(over.name, '', 10)
      return found.length > 0 && found
    })
    expect(deadLetter?.code).toBe('crashed')
    expect(runs).toEqual(['filter', 'run'])
  })

  test('is due by the clock of Redis, even if the clock of the worker is wrong', async () => {
    let calls = 0
    const now = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    onTestFinished(() => {
      vi.restoreAllMocks()
    })
    const fn = makeFunction(space, async () => {
      if (++calls === 1) throw new Error('bad, but only once')
      return undefined
    })
    await fn.add(1)
    await useWorker(space, fn.definition)
    await until('it was tried again', () => calls === 2)
  })
})

test('the pause before an attempt is random, up to base × 2ⁿ and at most max', () => {
  const definition = resolveFunction({
    ...makeFunction(space, async () => undefined).definition,
    retry: { attempts: 8, base: 100, max: 500 }
  })
  for (const [attempts, ceiling] of [100, 200, 400, 500, 500].entries()) {
    const delivery = fromRetry('1-1', JSON.stringify({ ...RECORD, attempts }), '1')
    const pauses = Array.from({ length: 1000 }, () => retryOutcome(delivery, definition.retry)).map(
      outcome => outcome.kind === 'retry' && outcome.pause
    )
    const [least, most] = [Math.min(...pauses.map(Number)), Math.max(...pauses.map(Number))]
    expect([least > 0, least < ceiling / 2, most > ceiling * 0.9, most <= ceiling]).not.toContain(false)
  }
})

describe('a worker that took a retry', () => {
  /** Joins the group as a worker. `take` returns the only message when it is due. */
  async function join(fn: TestFunction, lease: number) {
    // A slow Redis must not count as unavailable here.
    const { app } = await useApp(space, 'worker', { STORE_TIMEOUT_MS: 5000 })
    const { keys } = app
    const { redis } = app.stores
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = createGroupMember({
      redis,
      keys,
      definition,
      partition: 0,
      consumer: 'c',
      lease: () => lease
    })
    const take = () =>
      until('it is due', async () => {
        const { deliveries } = await member.takeRetries(10, [], 'safe')
        return deliveries[0]
      })
    return { app, member, take }
  }

  test('does not own the retry after its outcome', async () => {
    const fn = makeFunction(space, async () => undefined)
    const message = await addRetry(fn)
    const { app, member, take } = await join(fn, 60_000)
    const end = async (delivery: Delivery, outcome: Outcome) =>
      (await member.settle([{ delivery, outcome, counts: [], writes: [], events: [] }])).settled
    const expectReleased = async (ended: Delivery) => {
      const due = await message.due()
      await member.renew([ended])
      await member.release([ended], 0)
      expect(await message.due()).toBe(due)
      expect(await end(ended, { kind: 'done' })).toBe(0)
      expect(await message.waits()).toBe(true)
    }
    const [definition, cause] = [resolveFunction(fn.definition), new Error('no luck')]
    const failed = await take()
    expect(await end(failed, retryOutcome(failed, definition.retry))).toBe(1)
    await expectReleased(failed)

    const exhausted = await take()
    expect(exhausted).toMatchObject({ deliveries: 1, record: { attempts: 2 } })
    expect(await end(exhausted, deadOutcome(exhausted, cause, false))).toBe(1)
    expect(await app.streams.deadLetters.redrive(fn.name, undefined, 100)).toMatchObject({ count: 1 })
    await expectReleased(exhausted)
    const again = { ...RECORD, attempts: 0, taken: expect.any(Number), redriven: 'failed' }
    expect(await take()).toMatchObject({ deliveries: 1, record: again })
  })

  test('owns the retry for a lease, and for another lease after each renewal', async () => {
    const fn = makeFunction(space, async () => undefined)
    const message = await addRetry(fn)
    const { member, take } = await join(fn, 600_000)
    const held = await take()
    expect(await member.takeRetries(10, [], 'safe')).toEqual(NOTHING)
    await message.letItsLeaseLapse()
    await member.renew([held])
    expect(await member.takeRetries(10, [], 'safe')).toEqual(NOTHING)
  })

  test('gets the retry again after its pause, and not before', async () => {
    const fn = makeFunction(space, async () => undefined)
    const message = await addRetry(fn)
    const { member, take } = await join(fn, 1)
    const record = JSON.stringify({ ...RECORD, taken: 2 })
    const outcome: Outcome = { kind: 'retry', pause: 600_000, record }
    await member.settle([{ delivery: await take(), outcome, counts: [], writes: [], events: [] }])
    expect(await member.takeRetries(10, [], 'safe')).toEqual(NOTHING)
    await message.letItsLeaseLapse()
    expect((await member.takeRetries(10, [], 'safe')).deliveries).toHaveLength(1)
  })

  test('is not delayed by another retry whose record is missing', async () => {
    const fn = makeFunction(space, async () => undefined)
    const { member, take, app } = await join(fn, 600_000)
    const retry = app.keys.retry(fn.name, 0)
    await space.redis.zadd(retry, 0, '0-1')
    await addRetry(fn)
    expect(await take()).toMatchObject({ id: '1-1' })
    expect(await member.takeRetries(10, [], 'safe')).toEqual(NOTHING)
    expect(await space.redis.zrange(retry, '0', '-1')).toEqual(['1-1'])
  })

  test('does not own the retry after a release, and can release it many times without an attempt', async () => {
    const fn = makeFunction(space, async () => undefined)
    const message = await addRetry(fn, { data: '{"n":1,"text":"a/b \\"é\\" \\u0001"}' })
    // With this lease, only a released message is due at once.
    const lease = 600_000
    const { member, take } = await join(fn, lease)
    await take()
    await message.letItsLeaseLapse()
    const second = await take()
    // The first delivery without an outcome counts.
    expect(second.deliveries).toBe(2)
    const tokens = new Set([second.token])
    let held = second
    for (let n = 0; n < 10; n++) {
      await member.release([held], lease)
      const due = await message.due()
      await member.renew([held])
      expect(await message.due()).toBe(due)
      held = await take()
      expect(held).toEqual({
        ...second,
        token: held.token,
        record: { ...second.record, taken: held.record.taken }
      })
      tokens.add(held.token)
    }
    expect(tokens.size).toBe(11)
  })
})
