import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { ADMIN_TOKEN, eventIds, expectCompleted, keyOf, untilAtRest } from './evidence.ts'
import { type Answer, acceptedIn, idsIn, latencyOf, send, sendUntil, startLoad } from './load.ts'
import { byLength } from './long.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

const isAccepted = ({ status }: Answer) => status === 202

test('I6: orders get 503 with Retry-After within a second until one of two unavailable stores is back', {
  timeout: 120_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN })
  await startService(space, 'worker', { LEASE_MS: '2000' })
  const answers: Answer[] = []
  const outages = [
    ['killed', () => Promise.all([stores.redis.kill(), stores.mysql.kill()])],
    ['frozen', () => Promise.all([stores.redis.freeze(), stores.mysql.freeze()])]
  ] as const
  for (const [how, stop] of outages) {
    const refused: Answer[] = []
    for (const first of ['redis', 'mysql'] as const) {
      const name = `${how}-${first}`
      answers.push(...(await sendUntil(api.url, `${name}-before`, isAccepted)))
      await stop()
      const load = startLoad(api.url, 50, name)
      await until('all are refused', () => load.answers.length > 40)
      refused.push(...(await load.stop()))

      await stores[first].start()
      answers.push(...(await sendUntil(api.url, `${name}-half`, isAccepted)))
      await stores.redis.start()
      await stores.mysql.start()
    }
    answers.push(...refused)
    const latency = latencyOf(refused)
    console.info(`both stores ${how}: ${JSON.stringify(latency)}`)
    expect(refused.filter(({ status, retryAfter }) => status !== 503 || retryAfter < 1)).toEqual([])
    // The slowest answer also depends on the machine, which may stall for a moment.
    expect(byLength(latency.p50, latency.longest)).toBeLessThan(1000)
  }
  const audit = await untilAtRest(api)
  const completed = await expectCompleted(space, acceptedIn(answers), idsIn(answers))
  expect(audit.completed).toBe(completed.length)
})

test('I2: two bodies that are sent with one id before and during an outage become one row and one dead letter', {
  timeout: 120_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })

  // Only Redis knows the first order, and only MySQL the second.
  expect((await send(api.url, 'in-redis', 1)).durability).toBe('fsync')
  await stores.redis.kill()
  expect((await send(api.url, 'in-redis', 2)).durability).toBe('mysql')
  expect((await send(api.url, 'in-mysql', 1)).durability).toBe('mysql')
  expect((await send(api.url, 'in-mysql', 2)).status).toBe(409)
  await startService(space, 'worker', { LEASE_MS: '2000', ...PATIENT }, 'live')
  await stores.redis.start()
  await until('the first order has a conflict', async () => (await untilAtRest(api)).conflicts === 1)
  await until('both orders are published', async () => new Set(await eventIds(space)).size === 2)

  await stores.mysql.kill()
  await space.redis.del(keyOf(space, 'doc:in-mysql'))
  expect((await send(api.url, 'in-redis', 2)).status).toBe(200)
  expect((await send(api.url, 'in-redis', 3)).status).toBe(409)
  expect((await send(api.url, 'in-mysql', 2)).status).toBe(202)
  await stores.mysql.start()
  await until('the second order has a conflict', async () => {
    await send(api.url, 'in-mysql', 1)
    return (await untilAtRest(api)).conflicts === 2
  })

  const audit = await untilAtRest(api)
  expect(audit).toMatchObject({ accepted: 4, completed: 2, conflicts: 2, dead_letters: 2, duplicates: 0 })
  const response = await fetch(`${api.url}/admin/dead-letters`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` }
  })
  const { dead_letters } = (await response.json()) as { dead_letters: { code: string; data: string }[] }
  expect(
    dead_letters.map(({ code, data }) => ({ code, ...(JSON.parse(data) as Record<string, unknown>) }))
  ).toEqual([
    expect.objectContaining({ code: 'conflict', order_id: 'in-redis', amount: '1' }),
    expect.objectContaining({ code: 'conflict', order_id: 'in-mysql', amount: '2' })
  ])
  for (const [id, amount] of [
    ['in-redis', 2],
    ['in-mysql', 1]
  ] as const) {
    const document = await (await fetch(`${api.url}/orders/${id}`)).json()
    expect(document).toMatchObject({ amount, status: 'completed' })
    expect((await send(api.url, id, amount)).status).toBe(200)
    expect((await send(api.url, id, 9)).status).toBe(409)
  }
  expect([...new Set(await eventIds(space))].sort()).toEqual(['in-mysql:completed', 'in-redis:completed'])
})
