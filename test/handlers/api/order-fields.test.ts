import { beforeAll, describe, expect, test } from 'vitest'
import { ORDER_PLACED_VERSIONS, OrderPlaced } from '../../../schema/messages/order-placed.ts'
import { parseIdentity } from '../../../src/orders/identity.ts'
import { ORDER_FUNCTION, PLACED } from '../../../src/orders/names.ts'
import { publishOutbox } from '../../../src/orders/recover/publish-outbox.ts'
import { failSpilled } from '../../../src/orders/recover/spill-attempts.ts'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp
let worker: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  worker = await openApp(space, 'worker')
  return () => Promise.all([api.close(), worker.close()])
})

const valid = {
  currency: 'EUR',
  customer_id: 'customer"42"',
  items: [
    { sku: 'tea', name: 'Tea, 100 g “Oolong” 😀', quantity: 2, unit_price: '9.50' },
    { sku: 'gift', quantity: 1, unit_price: 0 }
  ],
  metadata: { status: 'completed', '10': 'ten', channel: 'web\n"status":"completed"' }
}
const shown = { ...valid, items: [{ ...valid.items[0], unit_price: 9.5 }, valid.items[1]] }

const completed = (id: string) =>
  until(`${id} is completed`, async () => {
    const document = (await api.call(`/orders/${id}`)).json()
    return document.status === 'completed' && document
  })

describe('an order with all fields', () => {
  test('has all fields in its document, its row and its event, whichever store answers', async () => {
    const accepted = await api.post({ order_id: 'full', amount: 19, ...valid })
    expect(accepted.statusCode).toBe(202)
    expect(accepted.json()).toMatchObject({ ...shown, status: 'processing', tax: null })
    const document = await completed('full')
    expect(document).toMatchObject({ ...shown, amount: 19, tax: 3.42, total: 22.42 })
    const { document: key, stream } = api.app.keys
    await space.redis.del(key('full'))
    const other = await useApp(space, 'api')
    expect((await other.call('/orders/full')).json()).toEqual(document)
    const [event] = await until('the event is there', async () => {
      const entries = await space.redis.xrange(stream('events', 0), '-', '+')
      const events = entries.map(([, entry]) => JSON.parse(fieldOf(entry, 'data')))
      const own = events.filter(({ subject }) => subject === 'full')
      return own.length > 0 && own
    })
    expect(event.data).toEqual(document)
  })

  test('is replayed for the same body in another form, and refused for another body', async () => {
    await api.post({ order_id: 'same', amount: 19, ...valid })
    const { metadata, ...rest } = valid
    const again = { metadata: Object.fromEntries(Object.entries(metadata).reverse()), ...rest }
    for (const when of ['waiting or done', 'done']) {
      const replay = await api.post({ order_id: 'same', amount: '19.0', ...again })
      expect([when, replay.statusCode, replay.json().metadata]).toEqual([when, 200, metadata])
      const other = await api.post({ order_id: 'same', amount: 19, ...valid, customer_id: 'c-2' })
      expect([when, other.statusCode]).toEqual([when, 409])
      const bare = await api.post({ order_id: 'same', amount: 19 })
      expect([when, bare.statusCode]).toEqual([when, 409])
      await completed('same')
    }
  })

  test('keeps its fields when it is accepted in MySQL, fails and is redriven', async () => {
    const spilling = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
    await worker.close()
    const accepted = await spilling.post({ order_id: 'spilled', amount: 19, ...valid })
    expect([accepted.statusCode, accepted.json()]).toEqual([202, expect.objectContaining(shown)])
    expect((await spilling.post({ order_id: 'spilled', amount: 19, ...valid })).statusCode).toBe(200)
    expect((await spilling.post({ order_id: 'spilled', amount: 19 })).statusCode).toBe(409)
    // A process of the previous release would complete a row with the status `processing`.
    expect(await space.sql("SELECT status FROM orders WHERE order_id = 'spilled'")).toEqual([
      { status: 'waiting' }
    ])
    const { keys, orders, stores, streams } = api.app
    await failSpilled(stores.orders, parseIdentity('spilled'), new Error('no price'))
    await publishOutbox({
      mysql: stores.orders,
      redis: stores.redis,
      keys,
      toPublication: orders.toPublication
    })
    expect((await api.call('/orders/spilled')).json()).toMatchObject({ ...shown, status: 'failed' })
    expect((await streams.deadLetters.list(ORDER_FUNCTION, '', 1)).deadLetters).toMatchObject([
      { data: expect.stringContaining('"currency":"EUR"') }
    ])
    await streams.deadLetters.redrive(ORDER_FUNCTION, undefined, 1)
    worker = await openApp(space, 'worker')
    expect(await completed('spilled')).toMatchObject({ ...shown, tax: 3.42, total: 22.42 })
  })

  test('is completed by a worker when it was accepted in MySQL', async () => {
    const spilling = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
    await spilling.post({ order_id: 'waited', amount: 19, ...valid })
    expect(await completed('waited')).toMatchObject({ ...shown, tax: 3.42, total: 22.42 })
  })

  test('waits for a worker that knows its fields', async () => {
    const placed = api.app.keys.stream(PLACED, 0)
    await worker.close()
    await api.post({ order_id: 'newer', amount: 19, ...valid })
    await api.post({ order_id: 'plain', amount: 19 })
    const older = await openApp(
      space,
      'worker',
      {},
      app => {
        app.consume({
          name: ORDER_FUNCTION,
          stream: PLACED,
          schema: OrderPlaced,
          version: ORDER_PLACED_VERSIONS.plain,
          handler: app.orders.processor.process
        })
      },
      { functions: false }
    )
    await completed('plain')
    await older.close()
    expect((await api.call('/orders/newer')).json()).toMatchObject({ status: 'processing' })
    expect(await space.redis.xlen(placed)).toBe(1)
    worker = await openApp(space, 'worker')
    expect(await completed('newer')).toMatchObject(shown)
  })
})

describe('POST /orders', () => {
  test.each<[string, object, string, RegExp]>([
    ['items that do not add up', { amount: 20, ...valid }, '/items', /add up to 19/],
    ['more decimals than the currency has', { amount: 10.5, currency: 'JPY' }, '/amount', /JPY has \(0\)/],
    [
      'a price with more decimals than the currency has',
      { amount: 1, currency: 'EUR', items: [{ sku: 'a', quantity: 1000, unit_price: 0.001 }] },
      '/items/0/unit_price',
      /EUR has \(2\)/
    ]
  ])('refuses %s', async (_, body, pointer, detail) => {
    const response = await api.post({ order_id: 'refused', ...body })
    expect([response.statusCode, response.json().type]).toEqual([
      400,
      'urn:orderstream:problem:invalid-order'
    ])
    expect(response.json().errors).toEqual([{ pointer, detail: expect.stringMatching(detail) }])
  })

  test.each<[string, object, string]>([
    ['an unknown currency', { currency: 'XXQ' }, '/currency'],
    ['a currency in small letters', { currency: 'eur' }, '/currency'],
    ['an empty list of items', { items: [] }, '/items'],
    ['501 items', { items: Array(501).fill({ sku: 'a', quantity: 1, unit_price: 1 }) }, '/items'],
    ['an item without a quantity', { items: [{ sku: 'a', unit_price: 1 }] }, '/items/0/quantity'],
    [
      'an item with an unknown field',
      { items: [{ sku: 'a', quantity: 1, unit_price: 1, size: 'L' }] },
      '/items/0/size'
    ],
    ['a negative price', { items: [{ sku: 'a', quantity: 1, unit_price: -1 }] }, '/items/0/unit_price'],
    ['a customer with a space', { customer_id: 'a b' }, '/customer_id'],
    ['metadata that is not text', { metadata: { a: 1 } }, '/metadata/a'],
    ['half a surrogate pair', { metadata: { a: '\ud800' } }, '/metadata/a'],
    [
      '51 pairs of metadata',
      { metadata: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [n, ''])) },
      '/metadata'
    ],
    ['an amount of eleven digits', { amount: 10_000_000_000 }, '/amount']
  ])('refuses %s', async (_, body, pointer) => {
    const response = await api.post({ order_id: 'refused', amount: 1, ...body })
    expect(response.statusCode).toBe(400)
    expect(response.json().errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer)
  })

  test('accepts the largest amount and the largest order', async () => {
    const items = Array.from({ length: 500 }, (_, n) => ({
      sku: `sku-${n}`,
      name: 'n'.repeat(200),
      quantity: 1,
      unit_price: n === 0 ? 9_999_999_500.9999 : 1
    }))
    const accepted = await api.post({ order_id: 'large', amount: '9999999999.9999', items })
    expect(accepted.statusCode).toBe(202)
    expect(await completed('large')).toMatchObject({ amount: 9_999_999_999.9999, total: 11_799_999_999.9999 })
  })

  test('sets the default currency on an order without a currency', async () => {
    const own = await useApp(space, 'api', { DEFAULT_CURRENCY: 'JPY' })
    await own.post({ order_id: 'default', amount: 101 })
    expect(await completed('default')).toMatchObject({ currency: 'JPY', tax: 18 })
    expect((await own.post({ order_id: 'default', amount: 101, currency: 'JPY' })).statusCode).toBe(200)
    expect((await own.post({ order_id: 'default2', amount: 1.5 })).statusCode).toBe(400)
  })
})

test('revenue is counted by currency, and the total counts the orders in the default currency', async () => {
  const stats = async (through = api) => (await through.call('/metrics')).json().services.database.stats
  const before = await stats()
  await api.post({ order_id: 'in-usd', amount: 10, currency: 'USD' })
  await api.post({ order_id: 'in-chf', amount: 1, currency: 'CHF' })
  await api.post({ order_id: 'in-none', amount: 100 })
  for (const id of ['in-usd', 'in-chf', 'in-none']) await completed(id)
  const after = await stats()
  expect(after.revenue).toMatchObject({ USD: '11.8', CHF: '1.18' })
  expect(after.total_revenue - before.total_revenue).toBeCloseTo(118, 3)
  const inUsd = await useApp(space, 'api', { DEFAULT_CURRENCY: 'USD' })
  expect((await stats(inUsd)).total_revenue - after.total_revenue).toBeCloseTo(11.8, 3)
})
