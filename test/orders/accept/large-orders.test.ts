import { expect, test } from 'vitest'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { openApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const LIMIT = 1_048_576

const large = (order_id: string) => ({
  order_id,
  amount: 1,
  metadata: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`key-${n}`, 'x'.repeat(500)]))
})

test('I7: large orders wait up to a limit of bytes, delay no small order, and are accepted again when they were processed', async () => {
  const { app, post } = await useApp(space, 'api', { MAX_BACKLOG_BYTES: LIMIT })
  const { keys } = app
  const placed = keys.stream('placed', 0)
  const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => post(large(`large-${n}`))))
  const accepted = answers.filter(({ statusCode }) => statusCode === 202)
  const refused = answers.filter(({ statusCode }) => statusCode !== 202)
  expect(refused.map(({ statusCode }) => statusCode)).toEqual(refused.map(() => 503))
  expect(refused[0]?.json()).toMatchObject({ type: 'urn:orderstream:problem:backlog-full' })
  const entries = await space.redis.xrange(placed, '-', '+')
  const sizes = entries.map(([, fields]) => Buffer.byteLength(fieldOf(fields, 'data')))
  expect(sizes).toHaveLength(accepted.length)
  const waiting = sizes.reduce((sum, size) => sum + size, 0)
  expect([waiting <= LIMIT, waiting + (sizes[0] ?? 0) > LIMIT]).toEqual([true, true])
  expect((await post({ order_id: 'small', amount: 1 })).statusCode).toBe(202)

  const worker = await openApp(space, 'worker')
  await until('all are settled', async () => (await space.redis.xlen(placed)) === 0)
  await worker.close()
  const counted = await Promise.all(
    [keys.accepted(0), keys.settled(0)].map(key => space.redis.hget(key, 'bytes'))
  )
  expect(counted).toEqual([String(waiting), String(waiting)])
  expect((await post(large('large-later'))).statusCode).toBe(202)
})

test('large orders are accepted although the counters of their bytes are wrong, when no order waits', async () => {
  const { app, post } = await useApp(space, 'api', { MAX_BACKLOG_BYTES: LIMIT })
  const { keys } = app
  const worker = await openApp(space, 'worker')
  await until('no order waits', async () => (await space.redis.xlen(keys.stream('placed', 0))) === 0)
  await worker.close()
  for (const [hash, bytes] of [
    [keys.accepted(0), 10 * LIMIT],
    [keys.settled(0), 20 * LIMIT]
  ] as const) {
    await space.redis.hset(hash, 'bytes', bytes)
    const answers = [await post(large(`one-${bytes}`)), await post(large(`two-${bytes}`))]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 202])
  }
})
