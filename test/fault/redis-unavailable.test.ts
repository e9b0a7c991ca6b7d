import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { ADMIN_TOKEN, completedIds, expectCompleted, untilAtRest } from './evidence.ts'
import { type Answer, acceptedIn, idsIn, latencyOf, sendUntil, shareOf, startLoad } from './load.ts'
import { byLength, LONG } from './long.ts'
import { useOwnStores } from './own-stores.ts'
import { startPoll } from './poll.ts'

const stores = await useOwnStores()

/** The orders per second, and the number of orders that are spilled before Redis is available again. */
const [RATE, SPILLED] = byLength([50, 150], [100, 6000])

/** The longest time until these orders are spilled, and then until they are completed (ms). */
const WITHIN = byLength(20_000, 120_000)

/** In a long run: the highest 99th percentile after the first second (ms), and the lowest share of accepted orders. */
const [P99, ACCEPTED] = [250, 0.99]

const isSpilled = ({ durability }: Answer) => durability === 'mysql'

const report = (what: string, answers: Answer[]) =>
  console.info(`${what}: ${JSON.stringify({ ...latencyOf(answers), accepted: shareOf(answers, 202) })}`)

test.each([
  ['killed', () => stores.redis.kill()],
  ['frozen', () => stores.redis.freeze()]
])(
  'I6: with Redis %s under load, orders are accepted and completed in MySQL, and published when Redis is back',
  {
    timeout: 2 * WITHIN + 120_000
  },
  async (how, stop) => {
    const space = await stores.space()
    const api = await startService(space, 'api', { ADMIN_TOKEN })
    const worker = await startService(space, 'worker', { LEASE_MS: '2000' })
    const load = startLoad(api.url, RATE, how)
    const poll = startPoll(api.url, load.answers)
    await until('orders flow', () => load.answers.length > RATE)

    const stopped = performance.now()
    await stop()
    const spilled = await until(
      'many orders are spilled',
      () => load.answers.filter(isSpilled).length > SPILLED && load.answers.filter(isSpilled),
      WITHIN
    )
    await until(
      'each of them is completed while Redis is unavailable',
      async () => new Set(idsIn(spilled)).isSubsetOf(new Set(await completedIds(space))),
      WITHIN
    )

    await stores.redis.start()
    await until('orders go into Redis again', () => load.answers.at(-1)?.durability === 'fsync')
    const answers = await load.stop()
    await poll.stop()
    expect(poll.wrong).toEqual([])
    report(`Redis ${how}, whole run`, answers)
    const later = answers.filter(({ due }) => due > stopped + 1000)
    report(`Redis ${how}, after the first second`, later)
    if (LONG) {
      expect(shareOf(answers, 202)).toBeGreaterThanOrEqual(ACCEPTED)
      expect(latencyOf(later).p99).toBeLessThan(P99)
    }

    const audit = await untilAtRest(api)
    const completed = await expectCompleted(space, acceptedIn(answers), idsIn(answers))
    expect(audit.completed).toBe(completed.length)
    const document = await until('its document is in Redis', async () => {
      const response = await fetch(`${api.url}/orders/${spilled[0]?.id}`)
      return response.headers.get('x-cache') === 'hit' && response.json()
    })
    expect(document).toMatchObject({ status: 'completed', total: 14.75 })
    expect((await worker.end('SIGTERM')).code).toBe(0)
  }
)

test('a spilled order is published even if a client reads it before', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const worker = await startService(space, 'worker', PATIENT)
  await stores.redis.kill()
  const sent = await sendUntil(api.url, 'read-early', isSpilled)
  const { id } = sent.at(-1) as Answer
  await until('the order is completed', async () => (await completedIds(space)).includes(id))
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
