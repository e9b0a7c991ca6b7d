import { expect, test } from 'vitest'
import { until, useSpace } from '../space.ts'
import { keyOf } from './evidence.ts'
import { addMessage, notesOf, startFunction } from './function-service.ts'
import { byLength } from './long.ts'

const space = await useSpace()
const [WORK, LEASE] = byLength([3000, 1000], [60_000, 30_000])

test('a function that takes longer than the lease of its messages runs once: the lease is renewed', {
  timeout: WORK + 60_000
}, async () => {
  for (let n = 0; n < 5; n++) await addMessage(space, 'slow', n)
  const env = { WORK_MS: String(WORK), LEASE_MS: String(LEASE) }
  // Two of them: the other one would take over what has no lease.
  await Promise.all([startFunction(space, 'slow', env), startFunction(space, 'slow', env)])
  await until(
    'all is settled',
    async () => (await notesOf(space)).ended === '5' && (await space.redis.xlen(keyOf(space, 'slow'))) === 0,
    WORK + 20_000
  )
  expect(await notesOf(space)).toEqual({ begun: '5', ended: '5' })
  expect(await space.redis.xlen(keyOf(space, 'dead:slow'))).toBe(0)
})

test('a function that hangs past its timeout is aborted, and its messages are tried again', {
  timeout: 60_000
}, async () => {
  await space.redis.del(`${space.env.KEY_PREFIX}:notes`)
  for (let n = 0; n < 3; n++) await addMessage(space, 'hanging', n)
  const worker = await startFunction(space, 'hanging', { LEASE_MS: '1000' })
  await until('all are done', async () => (await notesOf(space)).ended === '3')
  expect(await notesOf(space)).toEqual({ begun: '6', aborted: '3', ended: '3' })
  await until('nothing waits', async () => (await space.redis.zcard(keyOf(space, 'retry:hanging'))) === 0)
  expect(await space.redis.xlen(keyOf(space, 'hanging'))).toBe(0)
  expect(await space.redis.xlen(keyOf(space, 'dead:hanging'))).toBe(0)
  process.kill(worker.pid, 'SIGTERM')
  expect(await worker.exited).toEqual({ code: 0, signal: null })
})
