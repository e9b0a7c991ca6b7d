import { expect, test } from 'vitest'
import { inParallel, postOrder, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('10,000 orders from 64 concurrent clients become 10,000 completed rows with exact sums, and leave no message in Redis', {
  timeout: 120_000
}, async () => {
  const api = await startService(space, 'api', PATIENT)
  const worker = await startService(space, 'worker', PATIENT)
  const amounts = Array.from({ length: 10_000 }, (_, index) => ((index * 7919) % 9_999_999) + 1)
  await inParallel([...amounts.entries()], 64, async ([index, units]) => {
    const { status } = await postOrder(api.url, `spike-${index}`, (units / 10_000).toFixed(4))
    expect(status).toBe(202)
  })
  await until(
    'all orders are completed',
    async () =>
      (await space.sql<{ n: number }>("SELECT COUNT(*) AS n FROM orders WHERE status = 'completed'"))[0]
        ?.n === 10_000
  )

  // This is the rule for tax in whole numbers: ten-thousandths times 18 %, rounded half up.
  const tax = amounts.map(units => (BigInt(units) * 18n + 50n) / 100n)
  const total = amounts.reduce((sum, units, index) => sum + BigInt(units) + (tax[index] as bigint), 0n)
  const exact = `${total / 10_000n}.${String(total % 10_000n).padStart(4, '0')}`
  const [sums] = await space.sql(
    'SELECT COUNT(*) AS n, COUNT(DISTINCT order_id) AS ids, CAST(SUM(total) AS CHAR) AS total, CAST(SUM(amount + tax - total) AS CHAR) AS off FROM orders'
  )
  expect(sums).toEqual({ n: 10_000, ids: 10_000, total: exact, off: '0.0000' })

  const queue = `{${space.env.KEY_PREFIX}:0}:placed`
  await until('all messages are settled', async () => (await space.redis.xlen(queue)) === 0)
  const metrics = (await (await fetch(`${api.url}/metrics`)).json()) as {
    services: { database: { stats: unknown } }
    queue: unknown
  }
  expect(metrics.services.database.stats).toEqual({
    total_orders: 10_000,
    completed_orders: 10_000,
    processing_orders: 0,
    failed_orders: 0,
    cancelled_orders: 0,
    total_revenue: Number(exact),
    revenue: {}
  })
  expect(metrics.queue).toEqual({ depth: 0, pending: 0, oldest_seconds: 0 })
  expect((await worker.end('SIGTERM')).code).toBe(0)
  expect((await api.end('SIGTERM')).code).toBe(0)
})
