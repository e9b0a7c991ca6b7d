import { expect, test } from 'vitest'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

const LINE = 'messages handled but not settled, after a fault of the runtime: this process keeps them'

/** The number of renewals to wait for. Three fit in a lease, so without them the message would be free to take. */
const RENEWALS = 6

test('a handler does not run again in a process whose runtime failed during the settlement', async () => {
  const calls: number[] = []
  let broken = true
  const fn = makeFunction(space, async messages => void calls.push(...messages.map(({ body }) => body.n)), {
    batch: { size: 1, window: 0 },
    counters: () => {
      if (broken) throw new Error('a fault of the runtime')
      return []
    }
  })
  const id = await fn.add(1)
  const { app, log } = await useWorker(space, fn.definition)
  await until('the fault is logged', () => log.some(({ msg }) => msg === LINE))
  broken = false

  const pending = async () =>
    (await space.redis.xpending(fn.key, fn.name, '-', '+', 10)) as [string, string, number, number][]
  let [renewals, before] = [0, 0]
  await until('the lease is renewed for longer than it lasts', async () => {
    const [[, , idle = 0] = []] = await pending()
    if (idle < before) renewals++
    before = idle
    return renewals >= RENEWALS
  })
  // The function still handles other messages.
  await fn.add(2)
  await until('the other message is settled', async () => (await space.redis.xlen(fn.key)) === 1)
  expect(calls).toEqual([1, 2])
  expect(await pending()).toEqual([[id, app.processName, expect.any(Number), expect.any(Number)]])
  expect(await space.redis.zcard(app.keys.retry(fn.name, 0))).toBe(0)
  expect((await app.streams.deadLetters.list(fn.name, '', 10)).deadLetters).toEqual([])
  expect(log.filter(({ msg }) => msg === LINE)).toMatchObject([{ message_ids: [id] }])
})

test('another process handles the messages that a process has kept until its stop', async () => {
  let calls = 0
  let broken = true
  const fn = makeFunction(space, async () => void calls++, {
    counters: () => {
      if (broken) throw new Error('a fault of the runtime')
      return []
    }
  })
  await fn.add(1)
  const first = await useWorker(space, fn.definition)
  await until('the fault is logged', () => first.log.some(({ msg }) => msg === LINE))
  await first.app.close()
  expect(await space.redis.xlen(fn.key)).toBe(1)
  broken = false
  await useWorker(space, fn.definition)
  await fn.settled()
  expect(calls).toBe(2)
})
