import { expect, test } from 'vitest'
import { inParallel, postOrder, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const queue = `{${space.env.KEY_PREFIX}:0}:placed`

const pending = async () =>
  Number(((await space.redis.xpending(queue, 'process-orders').catch(() => [0])) as [number])[0])

test('I1: under load, every accepted order is completed once, although five workers are killed, each within a batch', {
  timeout: 120_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  const accepted: string[] = []
  let sending = true
  const load = inParallel(
    Array.from({ length: 8 }, (_, client) => client),
    8,
    async client => {
      for (let n = 0; sending; n++) {
        const id = `kill-${client}-${n}`
        if ((await postOrder(api.url, id, 12.5)).status === 202) accepted.push(id)
      }
    }
  )
  for (let kill = 0; kill < 5; kill++) {
    const worker = await startService(space, 'worker', { LEASE_MS: '1000', ...PATIENT })
    const before = accepted.length
    await until('orders are accepted', () => accepted.length > before + 300)
    await until('the worker has messages in flight', async () => (await pending()) > 0)
    expect((await worker.end('SIGKILL')).signal).toBe('SIGKILL')
  }
  sending = false
  await load
  await startService(space, 'worker', { LEASE_MS: '1000', ...PATIENT })
  await until('all messages are settled', async () => (await space.redis.xlen(queue)) === 0, 40_000)

  const rows = await space.sql<{ order_id: string }>("SELECT order_id FROM orders WHERE status = 'completed'")
  expect(rows.map(({ order_id }) => order_id).sort()).toEqual(accepted.sort())
  expect(
    await space.sql(
      'SELECT CAST(SUM(completed) AS SIGNED) AS n, CAST(SUM(revenue) AS CHAR) AS revenue FROM order_totals'
    )
  ).toEqual([{ n: accepted.length, revenue: (accepted.length * 14.75).toFixed(4) }])
})
