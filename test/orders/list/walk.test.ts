import { beforeAll, expect, test } from 'vitest'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()

/** Rows of a run: `WALK_ORDERS=1000000 npx vitest run test/orders/list` measures a large table. */
const ORDERS = Number(process.env.WALK_ORDERS ?? 3000)
const LIMIT = 100
const DAY = '2026-01-31'

/** Pages whose medians are compared, and how much slower the last ones may be. */
const COMPARED = 50
const FACTOR = 1.5

let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', { RATE_LIMIT_MAX: 0 })
  const worker = await openApp(space, 'worker')
  await api.app.stores.orders.availability.untilUp(AbortSignal.timeout(30_000))
  // Ten rows have the same time, a hundred the same amount. Each tenth has failed, half are of one customer.
  await space.sql(
    `INSERT INTO orders (order_id, amount, tax, total, status, customer_id, created_at, updated_at, processed_at, message_id)
     SELECT CONCAT('row-', seq), 1 + seq DIV 100, 0, 1 + seq DIV 100, IF(seq % 10 = 9, 'failed', 'completed'),
       IF(seq % 2 = 0, 'half', CONCAT('c-', seq % 1000)), DATE_ADD(?, INTERVAL seq DIV 10 SECOND),
       DATE_ADD(?, INTERVAL seq DIV 10 SECOND), DATE_ADD(?, INTERVAL seq DIV 10 SECOND), CONCAT(seq + 1, '-0')
     FROM seq_0_to_${ORDERS - 1}`,
    [DAY, DAY, DAY]
  )
  return () => Promise.all([api.close(), worker.close()])
}, 600_000)

const end = new Date(Date.parse(DAY) + (ORDERS / 10) * 1000).toISOString()

test.each<[string, Record<string, string>, number]>([
  ['all orders, the newest first', { created_before: end }, ORDERS],
  ['all orders, the oldest first', { created_before: end, order: 'created_at' }, ORDERS],
  ['one status', { status: 'completed', created_before: end }, ORDERS * 0.9],
  ['one customer', { customer_id: 'half', created_before: end }, ORDERS / 2],
  ['one customer and status', { customer_id: 'half', status: 'completed', created_before: end }, ORDERS / 2],
  ['a period', { created_after: `${DAY}T00:00:09.500Z`, created_before: end }, ORDERS - 100],
  ['all amounts', { order: 'amount', max_amount: String(ORDERS / 100) }, ORDERS],
  [
    'a range of amounts',
    { order: '-amount', min_amount: '2', max_amount: String(ORDERS / 100) },
    ORDERS - 100
  ]
])(
  'a walk over %s lists each once while orders are written',
  { timeout: 60_000 + ORDERS },
  async (name, filter, count) => {
    const ids = new Set<string>()
    const times: number[] = []
    let repeated = 0
    for (let cursor: string | null = ''; cursor !== null; ) {
      // Written orders are newer than the period, and above the amounts.
      if (times.length % 10 === 0)
        await api.post({
          order_id: `${name}-${times.length}`.replaceAll(/\W/g, '-'),
          amount: ORDERS,
          customer_id: 'half'
        })
      const query = new URLSearchParams({ ...filter, limit: String(LIMIT), ...(cursor && { cursor }) })
      const start = performance.now()
      const answer = await api.app.inject(`/orders?${query}`)
      times.push(performance.now() - start)
      expect(answer.statusCode, answer.body).toBe(200)
      const page = answer.json() as { orders: { order_id: string }[]; has_more: boolean; next: string | null }
      for (const { order_id } of page.orders) {
        if (ids.has(order_id)) repeated++
        ids.add(order_id)
      }
      cursor = page.has_more ? page.next : null
    }
    expect(repeated).toBe(0)
    expect([...ids].filter(id => id.startsWith('row-'))).toHaveLength(count)
    const [first, last] = [median(times.slice(0, COMPARED)), median(times.slice(-COMPARED))]
    if (process.env.WALK_ORDERS)
      console.info(
        `${name}: ${times.length} pages, median ${first.toFixed(1)} ms at first, ${last.toFixed(1)} ms at last`
      )
    if (times.length > 20 * COMPARED) expect(last).toBeLessThan(first * FACTOR)
  }
)

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
