import { expect, onTestFinished, test, vi } from 'vitest'
import { createBacklog } from '../../../src/orders/accept/backlog.ts'
import { useApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()

/** A backlog with a cap of 1,000. `sample` moves the clock forward by some seconds and then records the counts. */
function measured() {
  const backlog = createBacklog(1000)
  let now = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const sample = (seconds: number, settled: number, waiting: number) => {
    now += seconds * 1000
    backlog.sample(settled + waiting, waiting)
  }
  return { sample, retryAfter: backlog.retryAfter }
}

test('Retry-After is the time until a tenth of the cap is free, at the rate of the last ten seconds', () => {
  const { sample, retryAfter } = measured()
  expect(retryAfter()).toBe(10)
  sample(0, 0, 1000)
  expect(retryAfter()).toBe(10)
  sample(5, 0, 1000)
  expect(retryAfter()).toBe(10)
  // At 100 orders in ten seconds, the wait is ten more seconds.
  sample(5, 100, 1000)
  expect(retryAfter()).toBe(10)
  sample(10, 600, 1000)
  expect(retryAfter()).toBe(2)
  sample(2, 700, 900)
  expect(retryAfter()).toBe(1)
})

test('Retry-After is never longer than a minute', () => {
  const { sample, retryAfter } = measured()
  sample(0, 0, 1000)
  sample(10, 1, 1000)
  expect(retryAfter()).toBe(60)
})

test('the measurement of the rate restarts when the counter begins a new epoch', () => {
  const { sample, retryAfter } = measured()
  sample(0, 5000, 1000)
  sample(2, 0, 1000)
  expect(retryAfter()).toBe(10)
  sample(2, 100, 1000)
  expect(retryAfter()).toBe(2)
})

test('I7: concurrent requests never exceed the cap of all partitions, and no refused order is stored', async () => {
  const { app, post } = await useApp(space, 'api', {
    MAX_BACKLOG: 10,
    STREAM_PARTITIONS: 2
  })
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, n) => post({ order_id: `capped-${n}`, amount: 1 }))
  )
  const waiting = await Promise.all(
    [0, 1].map(partition => space.redis.xlen(app.keys.stream('placed', partition)))
  )
  expect(waiting).toEqual([5, 5])
  expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(10)
  const refused = answers.filter(({ statusCode }) => statusCode !== 202)
  for (const { statusCode, headers, json } of refused) {
    expect([statusCode, headers['retry-after']]).toEqual([503, '10'])
    expect(json()).toMatchObject({ type: 'urn:orderstream:problem:backlog-full' })
  }
  expect(await space.sql('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: 0 }])
})
