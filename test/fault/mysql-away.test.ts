import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { ADMIN_TOKEN, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, acceptedIn, idsIn, latencyOf, send, startLoad } from './load.ts'
import { byLength, LONG } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** Orders a second, and how many of them are to be accepted before MySQL comes back. */
const [RATE, ACCEPTED] = byLength([50, 200], [100, 6000])

/** The longest that this may take (ms). */
const WITHIN = byLength(20_000, 120_000)

/** In the long run, the longest 99th percentile after the first second of an outage (ms). */
const P99 = 250

const tell = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify(latencyOf(answers))}`)

// A MySQL that was killed is found out at once, so there an api can be patient; then no order may be refused. One that
// hangs is an outage after 400 ms, and so is any other moment like that: without both stores an order is refused.
test.each([
  ['killed', () => stores.mysql.kill(), PATIENT, [202]],
  ['frozen', () => stores.mysql.freeze(), {}, byLength([202, 503], [202])]
])(
  'I6: MySQL %s under load: every order is accepted, and all of them are completed when it is back',
  {
    timeout: WITHIN + 120_000
  },
  async (how, takeAway, patience, allowed) => {
    const space = await stores.space()
    const api = await startService(space, 'api', { ADMIN_TOKEN, ...patience })
    const worker = await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, how)
    const poll = startPoll(api.url, load.answers)
    await until('orders flow', () => load.answers.length > RATE)

    const away = performance.now()
    await takeAway()
    const sentSince = () => load.answers.filter(({ due }) => due > away)
    await until('orders go on', () => acceptedIn(sentSince()).length > ACCEPTED, WITHIN)
    await stores.mysql.start()
    const back = load.answers.length
    await until('orders came since', () => load.answers.length > back + RATE)
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    tell(`MySQL ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > away + 1000)
    tell(`MySQL ${how}, after the first second`, later)
    expect(answers.filter(({ status }) => !allowed.includes(status))).toEqual([])
    if (LONG) expect(latencyOf(later).p99).toBeLessThan(P99)
    for (const { id, status } of answers) {
      if (status === 202) continue
      await until(`${id} is accepted`, async () => [200, 202].includes((await send(api.url, id)).status))
    }

    const audit = await untilAtRest(api)
    expect(audit).toMatchObject({ accepted: answers.length + audit.duplicates, completed: answers.length })
    await expectCompleted(space, idsIn(answers))
    expect((await worker.end('SIGTERM')).code).toBe(0)
  }
)
