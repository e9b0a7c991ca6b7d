import { Type } from 'typebox'
import { describe, expect, test, vi } from 'vitest'
import { RedriveRefused } from '../../src/streams/dead-letters/redrive.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { type Settlement, sizeOf } from '../../src/streams/group/settlement.ts'
import { CALL_BYTES, KEPT_BYTES, LARGEST_MESSAGE, LISTED_BYTES } from '../../src/streams/limits.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, type TestFunction } from './functions.ts'

const space = await useSpace()

const MB = 1_000_000
const Text = Type.Object({ n: Type.Integer(), text: Type.String() })
const dataOf = (n: number, size: number) => JSON.stringify({ n, text: 'x'.repeat(size) })

/** Appends messages of this size. */
async function add({ key }: TestFunction, count: number, size: number): Promise<void> {
  for (let n = 0; n < count; n++) await space.redis.xadd(key, '*', 'v', '1', 'data', dataOf(n, size))
}

/** Joins the group of a function. No other consumer takes its messages. */
async function join(fn: TestFunction, lease: number) {
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const definition = { name: fn.name, group: fn.name, stream: fn.name }
  const member = createGroupMember({
    redis,
    keys,
    definition,
    partition: 0,
    consumer: 'c',
    lease: () => lease
  })
  await member.join()
  return { member, retry: keys.retry(fn.name, 0), retrying: keys.retrying(fn.name, 0) }
}

/** Takes messages until none is left. Returns the size of each batch. */
async function takeAll(take: () => Promise<{ deliveries: unknown[] }>): Promise<number[]> {
  const counts: number[] = []
  for (;;) {
    const { deliveries } = await take()
    if (deliveries.length === 0) return counts
    counts.push(deliveries.length)
  }
}

describe('large messages', () => {
  test('are taken for a retry in batches that fit into one call, and a larger message is taken alone', async () => {
    const fn = makeFunction(space, async () => undefined)
    const { member, retry, retrying } = await join(fn, 600_000)
    const sizes = [1, 1, 1, 1, 1, 6, 1, 1, 1]
    for (const [n, size] of sizes.entries()) {
      const record = { v: '1', data: dataOf(n, size * MB), attempts: 1, firstAt: 1, taken: 0 }
      await space.redis.hset(retrying, `1-${n}`, JSON.stringify(record))
      await space.redis.zadd(retry, n, `1-${n}`)
    }
    expect(await takeAll(() => member.takeRetries(100, [], 'safe'))).toEqual([4, 1, 1, 3])
  })

  test('are claimed from a dead worker a few at a time', async () => {
    const fn = makeFunction(space, async () => undefined)
    const { member } = await join(fn, 1)
    await add(fn, 12, MB)
    await space.redis.xreadgroup('GROUP', fn.name, 'dead', 'COUNT', 12, 'STREAMS', fn.key, '>')
    let cursor = '0-0'
    const counts: number[] = []
    do {
      const claimed = await member.claim(cursor, 100, 'safe')
      cursor = claimed.cursor
      counts.push(claimed.deliveries.length)
    } while (cursor !== '0-0')
    expect(counts.filter(count => count > 0)).toEqual([4, 4, 4])
  })

  test('are read and settled in parts, and each terminal failure becomes a dead letter', async () => {
    const batches: number[] = []
    const fn = makeFunction(
      space,
      async messages => {
        batches.push(messages.length)
        return { failed: messages.map(message => ({ message, cause: new Error('no luck') })) }
      },
      { schema: Text, batch: { size: 1000, window: 0 }, retry: { attempts: 2, base: 1, max: 1 } }
    )
    await add(fn, 150, MB / 10)
    const { app } = await useApp(space, 'worker', {}, app => app.consume(fn.definition))
    const [consumer] = app.streams.consumers.filter(({ definition }) => definition.name === fn.name)
    const settle = vi.spyOn(consumer?.member as { settle: (list: Settlement[]) => unknown }, 'settle')
    const dead = app.keys.dead(fn.name, 0)
    await until('all are dead letters', async () => (await space.redis.xlen(dead)) === 150)
    expect(Math.max(...batches)).toBeLessThanOrEqual(CALL_BYTES / (MB / 10))
    const sizes = settle.mock.calls.map(([list]) => list.reduce((sum, one) => sum + sizeOf(one), 0))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(CALL_BYTES)
    // The two attempts settle 30 MB in total, in large parts and not message by message.
    expect(sizes.length).toBeLessThan(40)
    expect(await space.redis.exists(app.keys.retry(fn.name, 0), app.keys.retrying(fn.name, 0))).toBe(0)
  })

  test('are retried one at a time when each one is larger than a call', async () => {
    const done: number[] = []
    const fn = makeFunction(
      space,
      async messages => {
        const failed = messages.filter(({ attempt }) => attempt < 3)
        done.push(...messages.filter(({ attempt }) => attempt === 3).map(({ body }) => body.n))
        return { failed: failed.map(message => ({ message, cause: new Error('not yet') })) }
      },
      { schema: Text }
    )
    await add(fn, 8, 7 * MB)
    const { app } = await useApp(space, 'worker', {}, app => app.consume(fn.definition))
    await until('all are done', async () => done.length === 8)
    expect(done.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    await until('nothing is left', async () => {
      const left = await space.redis.exists(app.keys.retrying(fn.name, 0), app.keys.dead(fn.name, 0))
      return left === 0
    })
  })
})

describe('large dead letters', () => {
  /** Adds dead letters of this size. Returns the name of their function. */
  const addDeadLetters = async ({ app }: TestApp, count: number, size: number) => {
    const { name } = makeFunction(space, async () => undefined)
    const times = ['attempts', '1', 'first_at', '1', 'last_at', '1', 'taken', '1']
    const fields = ['code', 'no', 'error', 'Error', 'message', 'm', ...times]
    for (let n = 0; n < count; n++) {
      const message = ['id', `1-${n}`, 'v', '1', 'data', dataOf(n, size)]
      await space.redis.xadd(app.keys.dead(name, 0), '*', ...message, ...fields)
    }
    return name
  }

  test('are listed with the start of their data, and shown with all of it', async () => {
    const api = await useApp(space, 'api')
    const { deadLetters } = api.app.streams
    const name = await addDeadLetters(api, 24, 5 * MB)
    const ids: string[] = []
    const pages: number[] = []
    let after = ''
    do {
      const { deadLetters: found, next } = await deadLetters.list(name, after, 100)
      for (const { data, dataBytes } of found)
        expect([data.length, dataBytes > 5 * MB]).toEqual([LISTED_BYTES, true])
      ids.push(...found.map(({ id }) => id))
      pages.push(found.length)
      after = next
    } while (after !== '')
    expect(new Set(ids).size).toBe(24)
    expect(pages.length).toBeGreaterThan(1)
    const deadLetter = await deadLetters.show(name, ids[3] as string)
    expect(deadLetter?.data === dataOf(3, 5 * MB)).toBe(true)
    expect(await deadLetters.redrive(name, undefined, 1000)).toMatchObject({ count: 24 })
    const record = JSON.parse((await space.redis.hget(api.app.keys.retrying(name, 0), '1-3')) as string)
    expect([record.data === deadLetter?.data, record.attempts, record.redriven]).toEqual([true, 0, 'failed'])
  })

  test('free their memory when they are discarded', async () => {
    const api = await useApp(space, 'api')
    const name = await addDeadLetters(api, 10, MB)
    const { deadLetters } = await api.app.streams.deadLetters.list(name, '', 100)
    const ids = deadLetters.map(({ id }) => id)
    expect(await api.app.streams.deadLetters.discard(name, ids, 'too much')).toMatchObject({ count: 10 })
    const kept = await space.redis.xrange(api.app.keys.discarded(name, 0), '-', '+')
    expect(kept.map(([, fields]) => fields.join('').length < KEPT_BYTES + 1000)).toEqual(ids.map(() => true))
    expect(await space.redis.xlen(api.app.keys.dead(name, 0))).toBe(0)
  })
})

describe('a message over the size limit', () => {
  test('becomes a dead letter with the start of its data, without a call of onDead or a redrive', async () => {
    const calls: unknown[] = []
    const fn = makeFunction(space, async messages => void calls.push(messages), {
      schema: Text,
      onDead: async deadLetters => {
        calls.push(deadLetters)
        return {}
      }
    })
    await add(fn, 1, LARGEST_MESSAGE)
    const { app } = await useApp(space, 'worker', {}, app => app.consume(fn.definition))
    await fn.settled()
    const { deadLetters } = app.streams
    const { deadLetters: found } = await deadLetters.list(fn.name, '', 10)
    expect(found).toMatchObject([{ code: 'too-large', attempts: 1, redrivable: false }])
    const [{ id = '' } = {}] = found
    const deadLetter = await deadLetters.show(fn.name, id)
    expect(deadLetter?.data).toBe(dataOf(0, LARGEST_MESSAGE).slice(0, KEPT_BYTES))
    expect(deadLetter?.dataBytes).toBe(dataOf(0, LARGEST_MESSAGE).length)
    expect(calls).toEqual([])
    await expect(deadLetters.redrive(fn.name, [id], 1)).rejects.toThrow(RedriveRefused)
    await expect(deadLetters.redrive(fn.name, undefined, 1)).rejects.toThrow(id)
    expect(await space.redis.xlen(app.keys.dead(fn.name, 0))).toBe(1)
  })

  test('cannot be published, and a handler that returns it counts as failed', async () => {
    const fn = makeFunction(
      space,
      async ([message]) => {
        if (!message) return undefined
        const text = 'x'.repeat(LARGEST_MESSAGE / 2)
        const event = { message, data: text, unless: '' }
        return { events: message.body.n === 1 ? [event, event, event] : [] }
      },
      { retry: { attempts: 1, base: 1, max: 1 } }
    )
    await fn.add(1)
    await fn.add(2)
    const { app } = await useApp(space, 'worker', {}, app => app.consume(fn.definition))
    await fn.settled()
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    expect(deadLetters).toMatchObject([{ code: 'exhausted', data: '{"n":1}' }])
    expect(deadLetters[0]?.cause.message).toContain(`events[2] takes what is written and published`)
  })
})
