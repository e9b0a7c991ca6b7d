import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { ADMIN_TOKEN, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, acceptedIn, idsIn, latencyOf, send, startLoad } from './load.ts'
import { byLength, LONG } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** The orders per second, and the number of orders that are accepted before MySQL is available again. */
const [RATE, ACCEPTED] = byLength([50, 200], [100, 6000])

/** The longest time until this number of orders is accepted (ms). */
const WITHIN = byLength(20_000, 120_000)

/** The highest 99th percentile after the first second of an outage (ms), in a run at full length. */
const P99 = 250

const report = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify(latencyOf(answers))}`)

// A killed MySQL is detected at once, so the store timeout is long and no order may be refused. A frozen one needs the
// short timeout. A stall of the machine then makes Redis unavailable too, and orders may be refused.
test.each([
  ['killed', () => stores.mysql.kill(), PATIENT, [202]],
  ['frozen', () => stores.mysql.freeze(), {}, byLength([202, 503], [202])]
])(
  'I6: with MySQL %s under load, every order is accepted, and all are completed when MySQL is available again',
  {
    timeout: WITHIN + 120_000
  },
  async (how, stop, patience, allowed) => {
    const space = await stores.space()
    const api = await startService(space, 'api', { ADMIN_TOKEN, ...patience })
    const worker = await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, how)
    const poll = startPoll(api.url, load.answers)
    await until('orders flow', () => load.answers.length > RATE)

    const stopped = performance.now()
    await stop()
    const sentSince = () => load.answers.filter(({ due }) => due > stopped)
    await until('orders are still accepted', () => acceptedIn(sentSince()).length > ACCEPTED, WITHIN)
    await stores.mysql.start()
    const atReturn = load.answers.length
    await until('more orders have answers', () => load.answers.length > atReturn + RATE)
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    report(`MySQL ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > stopped + 1000)
    report(`MySQL ${how}, after the first second`, later)
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
