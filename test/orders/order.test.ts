import { Big } from 'big.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hasFourDecimals, type Item, type Order } from '../../schema/http/order.ts'
import { addUpTo, toDetails } from '../../src/orders/details.ts'
import { orderEvent } from '../../src/orders/events.ts'
import {
  haveSameBody,
  newRecord,
  type OrderRecord,
  renderDocument,
  statusOf
} from '../../src/orders/order.ts'
import { toPlaced, versionOf } from '../../src/orders/placed.ts'
import { complete, fail } from '../../src/orders/pricing.ts'

const AT = '2026-01-31T12:00:00.000Z'

/** Texts of clients, some of which look like parts of a document. */
const text = fc.oneof(
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
  fc.constantFrom(
    'status',
    'completed',
    'processing',
    '"status":"completed"',
    '\\"status\\":\\"failed\\"',
    '"}',
    '\n'
  )
)
const prices = fc.integer({ min: 0, max: 99_999_999 }).map(units => units / 10_000)
const item = fc.record(
  { sku: text, name: text, quantity: fc.integer({ min: 1, max: 1000 }), unit_price: prices },
  { requiredKeys: ['sku', 'quantity', 'unit_price'] }
)
const fields = fc.record(
  {
    currency: fc.constantFrom('EUR' as const, 'JPY' as const),
    region: fc.constantFrom('DE', 'US-CA'),
    customer_id: fc.stringMatching(/^[\x21-\x7E]{1,20}$/),
    items: fc.array(item as fc.Arbitrary<Item>, { minLength: 1, maxLength: 5 }),
    metadata: fc.dictionary(text, text, { maxKeys: 5 })
  },
  { requiredKeys: [] }
)
const pending = fc
  .tuple(fc.integer({ min: 1, max: 9_999_999_999 }), fields)
  .map(([amount, own]) => newRecord('order-1', String(amount), AT, toDetails(own)))
/** Orders in each state. */
const orders = fc
  .tuple(pending, fc.constantFrom('processing', 'completed', 'failed'))
  .map(([order, status]): OrderRecord => {
    const placed = toPlaced(order, '0.18')
    if (status === 'completed') return complete(placed, AT)
    return status === 'failed' ? fail(placed, { code: 'x', detail: '"status":"completed"' }, AT) : order
  })

describe('renderDocument', () => {
  test('renders JSON that has every field of the order', () => {
    fc.assert(
      fc.property(orders, order => {
        const document: Order = JSON.parse(renderDocument(order))
        expect(document.status).toBe(order.status)
        expect(String(document.amount)).toBe(order.amount)
        expect(toDetails(document)).toEqual(order.details)
      })
    )
  })

  test('has the text of a status only in the status field, whatever texts a client has sent', () => {
    fc.assert(
      fc.property(orders, order => {
        const document = renderDocument({ ...order, failure: null })
        expect(statusOf(document)).toBe(order.status)
        for (const status of ['processing', 'completed', 'failed'])
          expect(document.includes(`"status":"${status}"`)).toBe(status === order.status)
      })
    )
  })

  test('begins with the text that marks an event as published only if the order is completed', () => {
    fc.assert(
      fc.property(pending, order => {
        const placed = toPlaced(order, '0.18')
        const [done, failed] = [complete(placed, AT), fail(placed, { code: 'x', detail: 'y' }, AT)]
        const mark = orderEvent(done, '', '').unless
        expect(renderDocument(done).startsWith(mark)).toBe(true)
        expect(renderDocument(order).startsWith(mark)).toBe(false)
        expect(renderDocument(failed).startsWith(mark)).toBe(false)
      })
    )
  })
})

describe('a body', () => {
  test('is the same with any order of the metadata, and with any form of a price', () => {
    fc.assert(
      fc.property(fields, own => {
        const metadata = own.metadata && Object.fromEntries(Object.entries(own.metadata).reverse())
        const items = own.items?.map(one => ({ ...one, unit_price: one.unit_price.toFixed(4) }))
        const [a, b] = [
          toDetails(own),
          toDetails({ ...own, ...(metadata && { metadata }), ...(items && { items }) })
        ]
        expect(haveSameBody(newRecord('x', '1', AT, a), newRecord('x', '1', AT, b))).toBe(true)
      })
    )
  })

  test.each<[string, object]>([
    ['another currency', { currency: 'USD' }],
    ['no customer', { customer_id: undefined }],
    ['other metadata', { metadata: { channel: 'shop' } }],
    [
      'the items in another order',
      {
        items: [
          { sku: 'b', quantity: 1, unit_price: 2 },
          { sku: 'a', quantity: 1, unit_price: 1 }
        ]
      }
    ]
  ])('is a different one with %s', (_, change) => {
    const own = {
      currency: 'EUR' as const,
      customer_id: 'c-1',
      items: [
        { sku: 'a', quantity: 1, unit_price: 1 },
        { sku: 'b', quantity: 1, unit_price: 2 }
      ],
      metadata: { channel: 'web' }
    }
    const other = { ...own, ...change }
    expect(
      haveSameBody(newRecord('x', '3', AT, toDetails(own)), newRecord('x', '3', AT, toDetails(other)))
    ).toBe(false)
  })
})

describe('the message of an order', () => {
  test('keeps every field through processing', () => {
    fc.assert(
      fc.property(pending, order => {
        const placed = toPlaced(order, '0.18')
        expect(placed).toMatchObject({
          order_id: 'order-1',
          amount: order.amount,
          tax_rate: '0.18',
          accepted_at: AT
        })
        expect(complete(placed, AT).details).toEqual(order.details)
      })
    )
  })

  test.each([
    ['999999.9999', {}, '1'],
    ['1000000', {}, '2'],
    ['9999999999.9999', {}, '2'],
    ['1', { currency: 'EUR' as const }, '2'],
    ['1', { metadata: {} }, '2']
  ])('of amount %s with %j has version %s', (amount, own, version) => {
    expect(versionOf(newRecord('x', amount, AT, toDetails(own)))).toBe(version)
  })
})

describe('items', () => {
  const money = fc.oneof(
    fc.integer({ min: 0, max: 99_999_999_999_999 }),
    fc.integer({ min: 0, max: 100_000_000 })
  )
  const priced = fc.record({
    quantity: fc.integer({ min: 1, max: 1_000_000 }),
    units: money,
    text: fc.boolean()
  })

  test('add up to exactly their sum, and to no other amount', () => {
    fc.assert(
      fc.property(fc.array(priced, { minLength: 1, maxLength: 10 }), drawn => {
        const items = drawn.map(({ quantity, units, text }) => {
          const price = new Big(units).div(10_000)
          return { sku: 'a', quantity, unit_price: text ? price.toFixed(4) : price.toNumber() }
        })
        const sum = drawn.reduce((all, { quantity, units }) => all + BigInt(quantity) * BigInt(units), 0n)
        const amountOf = (units: bigint) => new Big(String(units)).div(10_000).toFixed()
        expect(addUpTo(items, amountOf(sum))).toBe(true)
        expect(addUpTo(items, amountOf(sum + 1n))).toBe(false)
      })
    )
  })
})

test('a number has four decimals when its shortest text has no more', () => {
  const values = fc.oneof(
    fc.double({ min: 0, max: 9_999_999_999.9999, noNaN: true }),
    fc
      .tuple(fc.integer({ min: 0, max: 99_999_999_999_999 }), fc.integer({ min: 0, max: 8 }))
      .map(([units, places]) => units / 10 ** places)
      .filter(value => value <= 9_999_999_999.9999)
  )
  fc.assert(
    fc.property(values, value => {
      const short = /^\d+(\.\d{1,4})?$/.test(String(value))
      expect(hasFourDecimals(value)).toBe(short)
    }),
    { numRuns: 5000 }
  )
})
