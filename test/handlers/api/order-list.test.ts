import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { App } from '../../../src/app.ts'
import { createAsOf } from '../../../src/orders/list/as-of.ts'
import { createOrderLists } from '../../../src/orders/list/list-orders.ts'
import { ORDER_FUNCTION, PLACED } from '../../../src/orders/names.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
/** Lists whose `as_of` is recent. On a busy machine the calls to the stores may still be slow. */
const promptly = ({ keys, orders, stores }: App) => {
  orders.lists = createOrderLists(stores.orders, createAsOf(stores.redis, keys, 1000))
}
const useApi = (env = {}) => useApp(space, 'api', env, promptly)
let api: TestApp

const LONG_AGO = Date.parse('2026-01-31T12:00:00.000Z')
const at = (n: number) => new Date(LONG_AGO + n * 1000).toISOString()

/** Adds rows. Each fifth has failed, and each tenth waits. Two rows have the same time, three the same amount. */
async function addRows(prefix: string, count: number, customer: string | null = null) {
  const rows = Array.from({ length: count }, (_, n) => {
    const time = at(Math.floor(n / 2)).slice(0, -1)
    const status = n % 10 === 9 ? 'processing' : n % 5 === 4 ? 'failed' : 'completed'
    return [`${prefix}-${n}`, 1 + Math.floor(n / 3), status, time, time, customer]
  })
  await space.sql(
    'INSERT INTO orders (order_id, amount, status, created_at, updated_at, customer_id) VALUES ?',
    [rows]
  )
}

beforeAll(async () => {
  api = await openApp(space, 'api', {}, promptly)
  await addRows('own', 100, 'c-1')
  await addRows('other', 20, 'c-2')
  await addRows('plain', 30)
  return () => api.close()
})

interface Page {
  orders: { order_id: string; amount: number; status: string; created_at: string; customer_id?: string }[]
  has_more: boolean
  next: string | null
  as_of: string
}

function paramsOf(query: Record<string, unknown>): URLSearchParams {
  const texts = Object.entries(query).map(([name, value]) => [name, String(value)])
  return new URLSearchParams(Object.fromEntries(texts))
}

async function read(query: Record<string, unknown>, { call } = api): Promise<Page & { link: unknown }> {
  const response = await call(`/orders?${paramsOf(query)}`)
  expect(response.statusCode, response.body).toBe(200)
  return { ...response.json(), link: response.headers.link }
}

/** Reads page after page until there are no more orders. `between` runs after each page. */
async function walk(query: Record<string, unknown>, between: () => Promise<unknown> = async () => {}) {
  const orders: Page['orders'] = []
  for (let cursor: string | null | undefined; ; ) {
    const page: Page = await read({ limit: 7, ...query, ...(cursor && { cursor }) })
    orders.push(...page.orders)
    cursor = page.next
    if (!page.has_more) return { orders, next: page.next }
    await between()
  }
}

describe('GET /orders', () => {
  test.each<[Record<string, unknown>, number]>([
    [{}, 150],
    [{ order: 'created_at' }, 150],
    [{ customer_id: 'c-1' }, 100],
    [{ customer_id: 'c-2', order: 'created_at' }, 20],
    [{ customer_id: 'nobody' }, 0],
    [{ status: 'completed' }, 120],
    [{ status: 'failed', order: 'created_at' }, 15],
    [{ status: 'processing', customer_id: 'c-1' }, 10],
    [{ created_after: at(9), created_before: at(20) }, 30],
    [{ created_after: '2026-01-31T13:00:09+01:00', customer_id: 'c-2' }, 0],
    [{ order: 'amount' }, 150],
    [{ order: '-amount' }, 150],
    [{ order: 'amount', min_amount: '3.00', max_amount: 5 }, 27]
  ])('lists each order that matches %j once, in the requested order', async (query, count) => {
    const { orders } = await walk(query)
    expect(orders).toHaveLength(count)
    expect(new Set(orders.map(({ order_id }) => order_id)).size).toBe(count)
    const order = String(query.order ?? '-created_at')
    const values = orders.map(own => (order.endsWith('amount') ? own.amount : Date.parse(own.created_at)))
    const sorted = values.toSorted((a, b) => (order.startsWith('-') ? b - a : a - b))
    expect(values).toEqual(sorted)
    if (query.status) expect(orders.every(({ status }) => status === query.status)).toBe(true)
    if (query.customer_id) expect(orders.every(own => own.customer_id === query.customer_id)).toBe(true)
  })

  test('shows each order as GET /orders/:order_id does', async () => {
    const { orders } = await read({ customer_id: 'c-1', limit: 100 })
    for (const order of orders.slice(0, 5))
      expect((await api.call(`/orders/${order.order_id}`)).json()).toEqual(order)
  })

  test('links to the next page, also with a prefix in PUBLIC_URL', async () => {
    const { link, next } = await read({ status: 'failed', limit: 2 })
    expect(link).toBe(`</orders?status=failed&limit=2&order=-created_at&cursor=${next}>; rel="next"`)
    const own = await useApi({ PUBLIC_URL: 'https://example.com/api' })
    expect((await read({ limit: 1 }, own)).link).toMatch(/^<https:\/\/example\.com\/api\/orders\?/)
    expect((await read({ limit: 100, status: 'failed' })).link).toBe(undefined)
  })

  test.each<[Record<string, unknown>, string[]]>([
    [{ order: 'amount', status: 'failed' }, ['/status']],
    [{ order: '-amount', customer_id: 'c', created_after: at(0) }, ['/customer_id', '/created_after']],
    [{ min_amount: 1 }, ['/min_amount']],
    [{ order: 'created_at', max_amount: 1, min_amount: 1 }, ['/min_amount', '/max_amount']],
    [{ limit: 0 }, ['/limit']],
    [{ limit: 101 }, ['/limit']],
    [{ order: 'customer_id' }, ['/order']],
    [{ status: 'waiting' }, ['/status']],
    [{ created_after: 'yesterday' }, ['/created_after', '/created_after']],
    [{ page: 2 }, ['/page']]
  ])('refuses %j', async (query, pointers) => {
    const response = await api.call(`/orders?${paramsOf(query)}`)
    expect(response.statusCode).toBe(400)
    expect(response.json().errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers)
  })

  test('refuses the cursor of another list, and an invalid cursor', async () => {
    const { next } = await read({ limit: 1 })
    const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const query of [
      `cursor=${next}&order=created_at`,
      `cursor=${next}&status=failed`,
      'cursor=x',
      'cursor=',
      `cursor=${json(null)}`,
      `cursor=${json([1, 2, 3, 4])}`
    ]) {
      const response = await api.call(`/orders?${query}`)
      expect([query, response.statusCode, response.json().type]).toEqual([
        query,
        400,
        'urn:orderstream:problem:invalid-cursor'
      ])
    }
    expect((await read({ cursor: next, limit: 50 })).orders).toHaveLength(50)
  })

  test.each([
    '/orders',
    '/orders?customer_id=c-1',
    '/orders?status=failed',
    '/orders?order=amount&min_amount=2'
  ])('reads the page of %s from an index, without sorting', async url => {
    const { orders } = api.app.stores
    const queries: [string, unknown[]][] = []
    const rows = orders.rows
    orders.rows = (sql, values) => {
      queries.push([sql, values])
      return rows(sql, values)
    }
    await api.call(url)
    orders.rows = rows
    const [sql = '', values = []] = queries.find(([text]) => text.includes('FORCE INDEX')) ?? []
    const plan = (await space.sql(`EXPLAIN ${sql}`, values)) as {
      table: string
      key: string
      Extra: string | null
    }[]
    const parts = plan.filter(({ table }) => table === 'orders')
    expect(parts.length).toBeGreaterThan(0)
    for (const { key, Extra } of parts) {
      expect(key).toMatch(/^orders_/)
      expect(Extra ?? '').not.toContain('filesort')
    }
  })
})

describe('as_of', () => {
  const placed = () => api.app.keys.stream(PLACED, 0)

  test('is a few seconds in the past, and later orders are not listed', async () => {
    const before = Date.now()
    const { as_of } = await read({})
    expect(Date.parse(as_of)).toBeGreaterThan(before - 10_000)
    expect(Date.parse(as_of)).toBeLessThan(Date.now())
    const soon = new Date(Date.now() + 60_000).toISOString().slice(0, -1)
    await space.sql('INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES (?)', [
      ['later', 1, 'completed', soon, soon]
    ])
    expect((await read({ limit: 1 })).orders[0]?.order_id).not.toBe('later')
    await space.sql("DELETE FROM orders WHERE order_id = 'later'")
  })

  test('is earlier than the oldest message that waits or is retried, but ignores redriven messages', async () => {
    const fresh = () => useApi()
    const { keys } = api.app
    const [retry, retrying] = [keys.retry(ORDER_FUNCTION, 0), keys.retrying(ORDER_FUNCTION, 0)]
    const asOf = async () => Date.parse((await read({}, await fresh())).as_of)
    const record = { taken: 0, v: '1', data: '{}', requestId: '', traceparent: '', ordinal: '', attempts: 1 }
    const ago = (ms: number) => `${Date.now() - ms}-0`

    const waiting = ago(60_000)
    await space.redis.xadd(placed(), waiting, 'v', '1', 'data', '{}')
    expect(await asOf()).toBeLessThan(Number(waiting.slice(0, -2)))
    const retried = ago(120_000)
    await space.redis.zadd(retry, 0, retried)
    await space.redis.hset(retrying, retried, JSON.stringify(record))
    expect(await asOf()).toBeLessThan(Number(retried.slice(0, -2)))
    const redriven = ago(600_000)
    await space.redis.zadd(retry, 0, redriven)
    await space.redis.hset(retrying, redriven, JSON.stringify({ ...record, redriven: 'failed' }))
    expect(await asOf()).toBeGreaterThan(Number(redriven.slice(0, -2)))
    await space.redis.del(placed(), retry, retrying)
    expect(await asOf()).toBeGreaterThan(Date.now() - 10_000)
  })

  test('never decreases', async () => {
    const { keys, stores } = api.app
    const asOf = createAsOf(stores.redis, keys, 1000)
    const first = await asOf.read()
    await space.redis.xadd(placed(), `${Date.now() - 60_000}-0`, 'v', '1', 'data', '{}')
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2000)
    onTestFinished(() => clock.mockRestore())
    expect(await asOf.read()).toBe(first)
    await space.redis.del(placed())
    clock.mockReturnValue(performance.now() + 2000)
    expect((await asOf.read()) > first).toBe(true)
  })

  test('needs both stores', async () => {
    for (const env of [{ REDIS_PORT: NOWHERE }, { DB_PORT: NOWHERE }]) {
      const without = await useApi(env)
      expect((await without.call('/orders')).statusCode).toBe(503)
    }
  })
})

test('paging in either direction lists each accepted order once while other orders are written', async () => {
  const own = await useApi()
  await useApp(space, 'worker')
  const accepted = new Set<string>()
  const accept = async () => {
    const id = `live-${accepted.size}`
    await own.post({ order_id: id, amount: 5, customer_id: 'live' })
    accepted.add(id)
  }
  for (let n = 0; n < 30; n++) await accept()
  const last = (await own.call('/orders/live-29')).json().created_at
  await until(
    'the first orders are listed',
    async () => (await read({ customer_id: 'live' }, own)).as_of > last,
    60_000
  )
  const known = [...accepted]

  const backwards = await walk({ customer_id: 'live' }, accept)
  expect(backwards.orders.map(({ order_id }) => order_id)).toEqual(expect.arrayContaining(known))
  expect(backwards.next).toBe(null)
  const amounts = await walk({ order: '-amount', max_amount: 5, min_amount: 5, limit: 5 }, accept)
  const forwards = await walk({ customer_id: 'live', order: 'created_at' }, accept)
  for (const { orders } of [backwards, forwards, amounts]) {
    const ids = orders.map(({ order_id }) => order_id).filter(id => id.startsWith('live-'))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toEqual(expect.arrayContaining(known))
  }
  // A list by time can continue later from its last cursor.
  const all = [...accepted]
  const newest = (await own.call(`/orders/${all.at(-1)}`)).json().created_at
  await until('all orders are listed', async () => (await read({}, own)).as_of > newest, 60_000)
  const seen = forwards.orders.map(({ order_id }) => order_id)
  const rest = await read(
    { customer_id: 'live', order: 'created_at', limit: 100, cursor: forwards.next },
    own
  )
  expect([...seen, ...rest.orders.map(({ order_id }) => order_id)]).toEqual(all)
})
