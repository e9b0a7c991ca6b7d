import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'
import { appendOrders, idsOf } from './bulk.ts'
import { ADMIN_TOKEN, keyOf, untilAtRest } from './evidence.ts'
import { type Answer, send } from './load.ts'
import { byLength } from './long.ts'
import { startProxy } from './proxy.ts'

const space = await useSpace()
const queue = keyOf(space, 'placed')
const CAP = 10_000

/** The Retry-After while the drain rate is unknown (seconds). */
const DEFAULT_WAIT = 10

test('I7: an order gets 503 while the backlog is full, and is accepted when it is sent again after Retry-After', {
  timeout: 120_000
}, async () => {
  const api = await startService(space, 'api', { ADMIN_TOKEN, MAX_BACKLOG: String(CAP), ...PATIENT })
  const waiting = () => space.redis.xlen(queue)
  let accepted = 0
  /** Fills the queue to the cap, faster than the worker drains it. Returns the first answer that refuses an order. */
  const fill = (prefix: string): Promise<Answer> =>
    until('an order is refused', async () => {
      const room = CAP - (await waiting())
      await appendOrders(space, idsOf(`${prefix}-bulk-${accepted}`, room))
      accepted += room
      const answer = await send(api.url, `${prefix}-${accepted}`)
      if (answer.status === 202) accepted++
      return answer.status !== 202 && answer
    })

  expect((await send(api.url, 'first')).status).toBe(202)
  accepted++
  // No worker runs, so there is no rate to measure yet.
  expect(await fill('idle')).toMatchObject({ status: 503, retryAfter: DEFAULT_WAIT })
  expect((await send(api.url, 'first')).status).toBe(200)
  expect(await waiting()).toBe(CAP)

  // Each answer of MySQL is delayed, so the worker drains slowly.
  const proxy = await startProxy(Number(space.env.DB_PORT))
  proxy.slow(100)
  await startService(space, 'worker', { DB_PORT: String(proxy.port), ...PATIENT })
  const waits: number[] = []
  for (let round = 0; round < 2; round++) {
    // The api measures the drain rate when it accepts orders.
    await until('the queue shrinks', async () => {
      if ((await send(api.url, `meanwhile-${accepted}`)).status === 202) accepted++
      return (await waiting()) < 0.85 * CAP
    })
    // The rate is measured over some seconds. The worker may have started only during these seconds.
    const { status, retryAfter } = await until('the rate is known', async () => {
      const answer = await fill(`round-${round}`)
      return answer.retryAfter < DEFAULT_WAIT && answer
    })
    expect([status, retryAfter]).toEqual([503, expect.toSatisfy(seconds => seconds >= 1)])
    waits.push(retryAfter)
    await delay(retryAfter * 1000)
    // This machine may have stalled during the wait.
    await until('there is room', async () => (await waiting()) < CAP, byLength(20_000, 0))
    expect((await send(api.url, `again-${round}`)).status).toBe(202)
    accepted++
  }
  console.info(`Retry-After at the cap: ${waits} s`)
  proxy.slow(0)
  expect(await untilAtRest(api)).toMatchObject({ accepted, completed: accepted })
})
