import { expect, test } from 'vitest'
import { resolveFunction } from '../../src/streams/function.ts'
import type { RetryRecord } from '../../src/streams/group/delivery.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { retryOutcome } from '../../src/streams/group/outcomes.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** With this lease, only the test makes a message due. */
const LEASE = 600_000

/** A record as the previous version writes it. */
const OLD: RetryRecord = {
  v: '1',
  data: '{"n":1}',
  requestId: 'r-1',
  traceparent: '',
  ordinal: '',
  attempts: 1,
  firstAt: 1,
  taken: 1,
  redriven: ''
}

/** A message that waits for its retry, with this version and the previous one as workers. */
async function join() {
  const fn = makeFunction(space, async () => undefined)
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
    lease: () => LEASE
  })
  const [retry, retrying, id] = [keys.retry(fn.name, 0), keys.retrying(fn.name, 0), '1-1']
  const isDue = () => space.redis.zadd(retry, 0, id)
  const token = async () => Number(await space.redis.hget(retrying, `${id}#`))
  return {
    fn,
    member,
    retrying,
    isDue,
    take: () => until('it is taken', async () => (await member.takeRetries(10, [], 'safe')).deliveries[0]),
    /** The previous version, which knows only the record and the token. */
    old: {
      /** Writes the record of a retry or of a redriven dead letter. */
      write: async (taken: number) => {
        await space.redis.hset(retrying, id, JSON.stringify({ ...OLD, taken }), `${id}#`, taken)
        await isDue()
      },
      take: async () => {
        await space.redis.hset(retrying, `${id}#`, (await token()) + 1)
        return (await token()) - JSON.parse((await space.redis.hget(retrying, id)) as string).taken
      },
      settle: async () => {
        await space.redis.zrem(retry, id)
        await space.redis.hdel(retrying, id, `${id}#`)
      }
    }
  }
}

test('this version reads a record of the previous version, with its deliveries', async () => {
  const { old, take, isDue, member } = await join()
  await old.write(1)
  await old.take()
  await isDue()
  expect(await take()).toMatchObject({ deliveries: 2, record: OLD })
  // A record that the previous version writes later counts deliveries from zero again.
  await old.write(5)
  const taken = await take()
  expect(taken).toMatchObject({ deliveries: 1, record: { taken: 5 } })
  await member.release([taken], LEASE)
  expect(await take()).toMatchObject({ deliveries: 1, record: { ...OLD, taken: 7 } })
})

test('the previous version reads a record of this version, with its deliveries', async () => {
  const { fn, old, take, isDue, member, retrying } = await join()
  const definition = resolveFunction(fn.definition)
  await old.write(1)
  const delivery = await take()
  const outcome = retryOutcome(delivery, definition.retry)
  await member.settle([{ delivery, outcome, counts: [], writes: [], events: [] }])
  expect(await old.take()).toBe(1)
  await isDue()
  const held = await take()
  expect(held.deliveries).toBe(2)
  await member.release([held], LEASE)
  expect(await old.take()).toBe(2)
  const record = JSON.parse((await space.redis.hget(retrying, '1-1')) as string)
  expect(record).toEqual({ ...OLD, attempts: 2, taken: expect.any(Number) })
})

test('no data remains of a message that the previous version settled when no other message waits', async () => {
  const { old, take, member, retrying } = await join()
  await old.write(1)
  await take()
  await old.settle()
  expect(await space.redis.hkeys(retrying)).toEqual(['1-1~'])
  await space.redis.del(retrying)
  await old.write(1)
  await space.redis.hset(retrying, '0-1~', '3:3')
  const delivery = await take()
  await member.settle([{ delivery, outcome: { kind: 'done' }, counts: [], writes: [], events: [] }])
  expect(await space.redis.exists(retrying)).toBe(0)
})
