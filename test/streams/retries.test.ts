import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createDecoder, type Delivery, type RetryRecord } from '../../src/streams/delivery.ts'
import { toDeadLetter, toRetry } from '../../src/streams/failure.ts'
import { resolveFunction } from '../../src/streams/function.ts'
import { createGroupMember } from '../../src/streams/group.ts'
import type { Outcome } from '../../src/streams/settlement.ts'
import { useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'
import { makeFunction, type TestFunction, useWorker } from './functions.ts'

const space = await useSpace()

const RECORD: RetryRecord = {
  v: '1',
  data: '{"n":1}',
  requestId: 'r-1',
  traceparent: '',
  ordinal: '',
  attempts: 1,
  firstAt: 1,
  taken: 0,
  redriven: ''
}

/** A message of a function that waits for its second attempt, due at once. */
async function addRetry(fn: TestFunction, record: Partial<RetryRecord> = {}) {
  const [retry, id] = [`{${space.env.KEY_PREFIX}:0}:retry:${fn.name}`, '1-1']
  const retrying = `{${space.env.KEY_PREFIX}:0}:retrying:${fn.name}`
  await space.redis.hset(retrying, id, JSON.stringify({ ...RECORD, ...record }))
  await space.redis.zadd(retry, 0, id)
  return {
    due: async () => Number(await space.redis.zscore(retry, id)),
    waits: async () => (await space.redis.zscore(retry, id)) !== null
  }
}

describe('a message that is tried again', () => {
  test("is due by Redis's clock: a worker's own may be wrong", async () => {
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

describe('who took a message to try it again', () => {
  /** A worker's place in a group; `take` gives the one message there is, when it is due. */
  async function join(fn: TestFunction, lease: number) {
    const { app } = await useApp(space, 'worker')
    const { redis, keys } = app
    const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
    const member = createGroupMember({ redis, keys, definition, partition: 0, consumer: 'c', lease })
    const take = () =>
      until('it is due', async () => {
        const [delivery] = await member.takeRetries(10)
        return delivery
      })
    return { app, member, take }
  }

  test('holds it no more once it has an outcome', async () => {
    const fn = makeFunction(space, async () => undefined)
    const message = await addRetry(fn)
    const { app, member, take } = await join(fn, 60_000)
    const end = (delivery: Delivery, outcome: Outcome) =>
      member.settle([{ delivery, outcome, counts: [], writes: [], events: [] }])
    const expectLetGo = async (ended: Delivery) => {
      const due = await message.due()
      await member.renew([ended])
      expect(await message.due()).toBe(due)
      expect(await end(ended, { kind: 'done' })).toBe(0)
      expect(await message.waits()).toBe(true)
    }
    const [definition, cause] = [resolveFunction(fn.definition), new Error('no luck')]
    const decode = createDecoder(definition, 0)
    const failed = await take()
    expect(await end(failed, toRetry(decode(failed), definition))).toBe(1)
    await expectLetGo(failed)

    const givenUp = await take()
    expect(givenUp).toMatchObject({ deliveries: 1, record: { attempts: 2 } })
    expect(await end(givenUp, toDeadLetter(decode(givenUp), cause))).toBe(1)
    expect(await app.streams.deadLetters.redrive(fn.name, undefined, 100)).toBe(1)
    await expectLetGo(givenUp)
    expect(await take()).toMatchObject({ deliveries: 1, record: { attempts: 0 } })
  })
})
