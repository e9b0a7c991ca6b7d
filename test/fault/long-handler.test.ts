import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { PATIENT, until, useSpace } from '../harness/space.ts'
import { keyOf } from './evidence.ts'
import { addMessage, recordsOf, startFunction } from './function-service.ts'
import { byLength } from './long.ts'

const space = await useSpace()

/**
 * A lease that is longer than a stall of its worker (ms), and how many renewals the test waits for. A lease is renewed
 * three times in its duration.
 */
const [LEASE, RENEWALS] = byLength([9000, 4], [30_000, 7])

test('a function that takes longer than its lease runs once, because the lease is renewed', {
  timeout: 4 * LEASE + 60_000
}, async () => {
  for (let n = 0; n < 5; n++) await addMessage(space, 'slow', n)
  const env = { LEASE_MS: String(LEASE), ...PATIENT }
  // The second worker would claim messages whose lease has ended.
  await Promise.all([startFunction(space, 'slow', env), startFunction(space, 'slow', env)])
  await until('the function has begun', async () => (await recordsOf(space)).begun === '5')
  let [renewals, before] = [0, 0]
  await until(
    'the lease is renewed for longer than it lasts',
    async () => {
      const [[, , idle]] = (await space.redis.xpending(keyOf(space, 'slow'), 'slow', '-', '+', 1)) as [
        [id: string, consumer: string, idle: number, deliveries: number]
      ]
      if (idle < before) renewals++
      before = idle
      return renewals === RENEWALS
    },
    4 * LEASE
  )
  await space.redis.set(`${space.env.KEY_PREFIX}:enough`, '1')
  await until('all messages are settled', async () => (await space.redis.xlen(keyOf(space, 'slow'))) === 0)
  expect(await recordsOf(space)).toEqual({ begun: '5', ended: '5' })
  expect(await space.redis.xlen(keyOf(space, 'dead:slow'))).toBe(0)
})

test('a function that hangs beyond its timeout is aborted, and its messages are retried', {
  timeout: 60_000
}, async () => {
  await space.redis.del(`${space.env.KEY_PREFIX}:records`)
  for (let n = 0; n < 3; n++) await addMessage(space, 'hanging', n)
  const worker = await startFunction(space, 'hanging', { LEASE_MS: '1000', ...PATIENT })
  await until('all messages are processed', async () => (await recordsOf(space)).ended === '3')
  expect(await recordsOf(space)).toEqual({ begun: '6', aborted: '3', ended: '3' })
  await until('no retry waits', async () => (await space.redis.zcard(keyOf(space, 'retry:hanging'))) === 0)
  expect(await space.redis.xlen(keyOf(space, 'hanging'))).toBe(0)
  expect(await space.redis.xlen(keyOf(space, 'dead:hanging'))).toBe(0)
  process.kill(worker.pid, 'SIGTERM')
  expect(await worker.exited).toEqual({ code: 0, signal: null })
})

test('a worker logs an error and exits with 1 when hung calls hold all its slots for twice their timeout', {
  timeout: 60_000
}, async () => {
  await space.redis.del(`${space.env.KEY_PREFIX}:records`)
  for (let n = 0; n < 5; n++) await addMessage(space, 'stuck', n)
  const worker = await startFunction(space, 'stuck', { ...PATIENT })
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  // Calls that still run count as in flight, so the number of calls never exceeds the concurrency.
  expect(await recordsOf(space)).toEqual({ begun: '2' })
  const log = await readFile(worker.log, 'utf8')
  const line = log.split('\n').find(text => text.includes('"function is stuck: the process restarts"'))
  expect(line).toContain('calls of stuck hold all its 2 slots')
})
