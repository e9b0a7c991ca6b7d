import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startService } from '../service.ts'
import { until } from '../space.ts'
import { ADMIN_TOKEN, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, latencyOf, startLoad } from './load.ts'
import { byLength } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** Orders a second, and how long MySQL is away (ms). */
const RATE = byLength(50, 100)
const OUTAGE = byLength(4000, 60_000)

/** Longest 99th percentile after the first second of an outage (ms). */
const P99 = byLength(1000, 250)

const tell = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify(latencyOf(answers))}`)

test.each([
  ['killed', () => stores.mysql.kill()],
  ['frozen', () => stores.mysql.freeze()]
])(
  'I6: MySQL %s under load: every order is accepted, and all of them are completed when it is back',
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
    await stores.mysql.start()
    const back = load.answers.length
    await until('orders came since', () => load.answers.length > back + RATE)
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    tell(`MySQL ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > away + 1000)
    tell(`MySQL ${how}, after the first second`, later)
    expect(answers.filter(({ status }) => status !== 202)).toEqual([])
    expect(latencyOf(later).p99).toBeLessThan(P99)

    const audit = await untilAtRest(api)
    expect(audit).toMatchObject({ accepted: answers.length + audit.duplicates, completed: answers.length })
    await expectCompleted(
      space,
      answers.map(({ id }) => id)
    )
    expect((await worker.end('SIGTERM')).code).toBe(0)
  }
)
