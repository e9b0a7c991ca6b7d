import { type Static, Type } from 'typebox'
import { Currency } from './currency.ts'
import { Region } from './tax-rate.ts'

/** The source of a RegExp for order ids. */
const ORDER_ID = '^[A-Za-z0-9_-]{1,100}$'

/**
 * The source of a RegExp for money as text, from 0 to 9999999999.9999. It allows ten digits before the point and four
 * after it, without sign and exponent. More zeros may follow at the end.
 */
const MONEY_TEXT = '(0|[1-9]\\d{0,9})(\\.\\d{1,4}0*)?$'

/** The largest amount of money. Currencies such as VND and IDR need ten digits. */
export const LARGEST_AMOUNT = 9_999_999_999.9999

/** The number of units in 1.0. All money is a whole number of units, because it has at most four decimals. */
const UNITS = 10_000

/**
 * Returns money in units of 0.0001. The result is exact for money up to the largest amount: the product with the number
 * of units differs from a whole number by less than 0.02.
 */
export function toUnits(money: number | string): number {
  return Math.round(Number(money) * UNITS)
}

/**
 * Returns whether a JSON number has at most four decimals in its shortest text (0.3, 100.1, 1000). The client sent this
 * text, because an earlier check rejects numbers with more digits. Such a number is the double that is nearest to a
 * whole number of units. `multipleOf: 0.0001` would reject valid numbers, because no double is exactly 0.0001.
 */
export function hasFourDecimals(value: number): boolean {
  return toUnits(value) / UNITS === value
}

/** The formats that request validation has in addition to the standard formats. */
export const formats = { amount: { type: 'number', validate: hasFourDecimals } } as const

/** The id of an order. */
export const OrderId = Type.String({
  pattern: ORDER_ID,
  description: '1 to 100 of A–Z, a–z, 0–9, underscore and hyphen. It names one order forever.',
  examples: ['test-001']
})

/** The amount of a new order, as clients send it. */
export const Amount = Type.Unsafe<number | string>({
  type: ['number', 'string'],
  exclusiveMinimum: 0,
  maximum: LARGEST_AMOUNT,
  format: 'amount',
  pattern: `^(?!0(\\.0+)?$)${MONEY_TEXT}`,
  description:
    'A number or a string, above 0, at most 9999999999.9999, with at most four decimals as it is written, and no more than the currency has; zeros at the end do not count. Only a number may have an exponent.',
  examples: [100, '99.95']
})

/**
 * The source of a RegExp for texts of clients. It rejects NUL and half of a surrogate pair, because UTF-8 cannot encode
 * half of a pair.
 */
const TEXT = '^[^\\u0000\\p{Cs}]*$'

const text = (most: number, description: string) =>
  Type.String({ minLength: 1, maxLength: most, pattern: TEXT, description })

const Sku = text(100, 'What is ordered.')
const ItemName = text(200, 'Its name, for people.')
const Quantity = Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'How many.' })

/** An item of a new order. */
const NewItem = Type.Object(
  {
    sku: Sku,
    name: Type.Optional(ItemName),
    quantity: Quantity,
    unit_price: Type.Unsafe<number | string>({
      type: ['number', 'string'],
      minimum: 0,
      maximum: LARGEST_AMOUNT,
      format: 'amount',
      pattern: `^${MONEY_TEXT}`,
      description: 'Price of one, before tax; 0 for a gift. A number or a string, as `amount`.',
      examples: [9.5]
    })
  },
  { additionalProperties: false }
)

/** The id of a customer, which the client chooses. */
export const CustomerId = Type.String({
  pattern: '^[\\x21-\\x7E]{1,100}$',
  description: '1 to 100 visible ASCII characters: whose order it is.',
  examples: ['customer-42']
})

const Metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: 50,
  propertyNames: { minLength: 1, maxLength: 40, pattern: TEXT },
  additionalProperties: { type: 'string', maxLength: 500, pattern: TEXT },
  description: 'Up to 50 pairs of text that the service keeps and does not read.',
  examples: [{ channel: 'web' }]
})

/** Body of `POST /orders`. */
export const NewOrder = Type.Object(
  {
    order_id: OrderId,
    amount: Amount,
    currency: Type.Optional(Currency),
    customer_id: Type.Optional(CustomerId),
    region: Type.Optional(Region),
    items: Type.Optional(
      Type.Array(NewItem, {
        minItems: 1,
        maxItems: 500,
        description: 'What is ordered. The sum of quantity × unit_price is exactly `amount`.'
      })
    ),
    metadata: Type.Optional(Metadata)
  },
  { $id: 'NewOrder', additionalProperties: false, description: 'An order to accept.' }
)
/** Body of `POST /orders`. */
export type NewOrder = Static<typeof NewOrder>

/** Path parameters of `GET /orders/:order_id`. */
export const OrderParams = Type.Object({ order_id: OrderId })
/** Path parameters of `GET /orders/:order_id`. */
export type OrderParams = Static<typeof OrderParams>

/** The header that asks POST and GET of an order to wait (RFC 7240). Malformed preferences are ignored. */
export const PreferWait = Type.Object({
  prefer: Type.Optional(
    Type.String({
      description:
        '`wait=` and a number of seconds: the answer comes when the order is final, or after that time, which is at most 60 seconds.',
      examples: ['wait=5']
    })
  )
})

const Time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] })

const Money = (description: string) => Type.Number({ description, examples: [118] })

/** The reason why an order failed. */
export const Failure = Type.Object({
  code: Type.String({ description: 'A short code for programs.', examples: ['exhausted'] }),
  detail: Type.String({ description: 'What went wrong.' })
})
/** The reason why an order failed. */
export type Failure = Static<typeof Failure>

/** An item of an order. */
export const Item = Type.Object({
  sku: Sku,
  name: Type.Optional(ItemName),
  quantity: Quantity,
  unit_price: Money('Price of one, before tax.')
})
/** An item of an order. */
export type Item = Static<typeof Item>

/** The document of an order, as POST and GET return it. */
export const Order = Type.Object(
  {
    order_id: OrderId,
    amount: Money('Amount before tax, exact.'),
    tax: Type.Union([
      Money(
        'amount × tax rate, rounded half up to the minor unit of the currency, or to four decimals without one.'
      ),
      Type.Null()
    ]),
    total: Type.Union([Money('amount + tax.'), Type.Null()]),
    status: Type.Enum(['processing', 'completed', 'failed', 'cancelled']),
    created_at: Time('When the order was accepted (UTC).'),
    updated_at: Time('When the document last changed (UTC).'),
    processed_at: Type.Union([Time('When the order was finished (UTC).'), Type.Null()]),
    currency: Type.Optional(Currency),
    customer_id: Type.Optional(CustomerId),
    region: Type.Optional(Region),
    items: Type.Optional(Type.Array(Item)),
    metadata: Type.Optional(Metadata),
    failure: Type.Optional(Failure)
  },
  {
    $id: 'Order',
    additionalProperties: false,
    description:
      'An order as it is now. tax, total and processed_at are null while it is processing; tax and total stay null when it failed or was cancelled. failure exists only when it failed; the optional fields of a new order only when it was sent with them.'
  }
)
/** The document of an order. */
export type Order = Static<typeof Order>
