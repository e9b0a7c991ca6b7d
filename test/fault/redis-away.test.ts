import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { ADMIN_TOKEN, completedIds, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, acceptedIn, idsIn, latencyOf, sendUntil, shareOf, startLoad } from './load.ts'
import { byLength, LONG } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** Orders a second, and how many of them are to be spilled before Redis comes back. */
const [RATE, SPILLED] = byLength([50, 150], [100, 6000])

/** The longest that this, and what comes of it, may take (ms). */
const WITHIN = byLength(20_000, 120_000)

/** In the long run, the longest 99th percentile after the first second of an outage (ms), and the least share accepted. */
const [P99, ACCEPTED] = [250, 0.99]

const isSpilled = ({ durability }: Answer) => durability === 'mysql'

const tell = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify({ ...latencyOf(answers), accepted: shareOf(answers, 202) })}`)

test.each([
  ['killed', () => stores.redis.kill()],
  ['frozen', () => stores.redis.freeze()]
])(
  'I6: Redis %s under load: orders go on into MySQL, are completed there, and told when it is back',
  {
    timeout: 2 * WITHIN + 120_000
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
    const spilled = await until(
      'many are spilled',
      () => load.answers.filter(isSpilled).length > SPILLED && load.answers.filter(isSpilled),
      WITHIN
    )
    await until(
      'each of them is completed while Redis is away',
      async () => new Set(idsIn(spilled)).isSubsetOf(new Set(await completedIds(space))),
      WITHIN
    )

    await stores.redis.start()
    await until('orders go into Redis again', () => load.answers.at(-1)?.durability === 'fsync')
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    tell(`Redis ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > away + 1000)
    tell(`Redis ${how}, after the first second`, later)
    if (LONG) {
      expect(shareOf(answers, 202)).toBeGreaterThanOrEqual(ACCEPTED)
      expect(latencyOf(later).p99).toBeLessThan(P99)
    }

    const audit = await untilAtRest(api)
    const completed = await expectCompleted(space, acceptedIn(answers), idsIn(answers))
    expect(audit.completed).toBe(completed.length)
    const document = await until('it is in Redis', async () => {
      const response = await fetch(`${api.url}/orders/${spilled[0]?.id}`)
      return response.headers.get('x-cache') === 'hit' && response.json()
    })
    expect(document).toMatchObject({ status: 'completed', total: 14.75 })
    expect((await worker.end('SIGTERM')).code).toBe(0)
  }
)

test('a spilled order that clients read before Redis has heard of it is told all the same', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const worker = await startService(space, 'worker', PATIENT)
  await stores.redis.kill()
  const sent = await sendUntil(api.url, 'read-early', isSpilled)
  const { id } = sent.at(-1) as Answer
  await until('it is completed', async () => (await completedIds(space)).includes(id))
  process.kill(worker.pid, 'SIGSTOP')
  await stores.redis.start()
  await until('a read has put its document back', async () => {
    const response = await fetch(`${api.url}/orders/${id}`)
    return response.headers.get('x-cache') === 'hit'
  })
  process.kill(worker.pid, 'SIGCONT')
  await untilAtRest(api)
  await expectCompleted(space, acceptedIn(sent), idsIn(sent))
})
