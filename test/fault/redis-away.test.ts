import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startService } from '../service.ts'
import { until } from '../space.ts'
import { ADMIN_TOKEN, completedIds, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, latencyOf, send, shareOf, startLoad } from './load.ts'
import { byLength } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** Orders a second, and how long Redis is away (ms). */
const RATE = byLength(50, 100)
const OUTAGE = byLength(4000, 60_000)

/** Longest 99th percentile after the first second of an outage (ms). */
const P99 = byLength(1000, 250)

const tell = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify({ ...latencyOf(answers), accepted: shareOf(answers, 202) })}`)

test.each([
  ['killed', () => stores.redis.kill()],
  ['frozen', () => stores.redis.freeze()]
])(
  'I6: Redis %s under load: orders go on into MySQL, are completed there, and told when it is back',
  {
    timeout: OUTAGE + 120_000
  },
  async (how, takeAway) => {
    const space = await stores.space()
    const api = await startService(space, 'api', { ADMIN_TOKEN })
    const worker = await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, how)
    const poll = startPoll(api.url, load.answers)
    await until('orders flow', () => load.answers.length > RATE)

    const away = performance.now()
    await takeAway()
    await delay(OUTAGE)
    const back = performance.now()
    const spilled = load.answers.filter(
      ({ durability, answered }) => durability === 'mysql' && answered < back - 2000
    )
    expect(spilled.length).toBeGreaterThan((OUTAGE / 1000 - 3) * RATE)
    const completed = new Set(await completedIds(space))
    expect(spilled.filter(({ id }) => !completed.has(id))).toEqual([])

    await stores.redis.start()
    await until('orders go into Redis again', () => load.answers.at(-1)?.durability === 'fsync')
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    tell(`Redis ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > away + 1000)
    tell(`Redis ${how}, after the first second`, later)
    expect(shareOf(answers, 202)).toBeGreaterThanOrEqual(0.99)
    expect(latencyOf(later).p99).toBeLessThan(P99)

    const accepted = answers.filter(({ status }) => status === 202).map(({ id }) => id)
    const audit = await untilAtRest(api)
    expect(audit.completed).toBe(accepted.length)
    await expectCompleted(space, accepted)
    const document = await fetch(`${api.url}/orders/${spilled[0]?.id}`)
    expect(document.headers.get('x-cache')).toBe('hit')
    expect(await document.json()).toMatchObject({ status: 'completed', total: 14.75 })
    expect((await worker.end('SIGTERM')).code).toBe(0)
  }
)

test('a spilled order that clients read before Redis has heard of it is told all the same', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN })
  const worker = await startService(space, 'worker')
  await stores.redis.kill()
  await until('it is spilled', async () => (await send(api.url, 'read-early')).durability === 'mysql')
  await until('it is completed', async () => (await completedIds(space)).length === 1)
  process.kill(worker.pid, 'SIGSTOP')
  await stores.redis.start()
  await until('a read has put its document back', async () => {
    const response = await fetch(`${api.url}/orders/read-early`)
    return response.headers.get('x-cache') === 'hit'
  })
  process.kill(worker.pid, 'SIGCONT')
  await expectCompleted(space, ['read-early'])
})
