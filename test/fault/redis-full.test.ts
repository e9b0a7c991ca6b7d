import { expect, test } from 'vitest'
import { inParallel, startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { idsOf } from './bulk.ts'
import { ADMIN_TOKEN, completedIds, expectCompleted, keyOf, readAudit, untilAtRest } from './evidence.ts'
import { send, shareOf, startLoad } from './load.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

test('I1: while Redis is at its maxmemory, new orders are accepted, and new and waiting orders are completed', {
  timeout: 120_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const early = await startService(space, 'worker', PATIENT)
  const ids = idsOf('early', 1000)
  const post = async (id: string) => expect((await send(api.url, id)).status).toBe(202)
  await inParallel(ids, 32, post)
  await untilAtRest(api)
  await early.end('SIGTERM')
  const waiting = idsOf('waiting', 1000)
  await inParallel(waiting, 32, post)

  // The waiting orders need more than this, so evictions cannot free enough memory for a new order.
  await space.redis.config('SET', 'maxmemory', 1_000_000)
  const load = startLoad(api.url, 50, 'full')
  await until('orders go into MySQL', () => load.answers.at(-1)?.durability === 'mysql')
  expect(await space.redis.xlen(keyOf(space, 'placed'))).toBeGreaterThanOrEqual(1000)
  // Redis refuses only new orders. Waiting orders can still be read.
  for (const id of waiting.slice(0, 200)) {
    const response = await fetch(`${api.url}/orders/${id}`)
    expect([response.status, await response.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'processing' })
    ])
  }
  expect((await readAudit(api)).accepted).toBeGreaterThanOrEqual(2000)
  const scrape = await fetch(`${api.url}/metrics`, { headers: { accept: 'text/plain' } })
  expect([scrape.status, await scrape.text()]).toEqual([
    200,
    expect.stringMatching(/^orderstream_audit\{figure="accepted"\} [1-9]/m)
  ])
  await startService(space, 'worker', PATIENT)
  await until('the waiting orders are completed', async () => {
    const completed = new Set(await completedIds(space))
    return waiting.every(id => completed.has(id))
  })
  await until('new orders are completed', async () => {
    const completed = new Set(await completedIds(space))
    return load.answers.filter(({ id }) => completed.has(id)).length > 50
  })
  expect((await fetch(`${api.url}/orders/early-0`)).status).toBe(200)

  await space.redis.config('SET', 'maxmemory', 0)
  await until('orders go into Redis again', () => load.answers.at(-1)?.durability === 'fsync')
  const answers = await load.stop()
  expect(shareOf(answers, 202)).toBe(1)
  const all = [...ids, ...waiting, ...answers.map(({ id }) => id)]
  expect(await untilAtRest(api)).toMatchObject({ completed: all.length, dead_letters: 0 })
  await expectCompleted(space, all)
})
