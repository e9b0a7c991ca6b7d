import { type Static, Type } from 'typebox'

/** The source of a RegExp for order ids. */
const ORDER_ID = '^[A-Za-z0-9_-]{1,100}$'

/**
 * Money as text, from 0.0001 to 999999.9999: up to six digits before the point and four after it, without sign and
 * exponent. Zeros at the end do not count.
 */
const AMOUNT_TEXT = '^(?!0(\\.0+)?$)(0|[1-9]\\d{0,5})(\\.\\d{1,4}0*)?$'

/**
 * Whether a JSON number has at most four decimals. Tests the shortest text of the number (0.3, 100.1, 1000), which is what
 * the client sent: a number with more digits is refused before. `multipleOf: 0.0001` would refuse valid numbers, since
 * 0.0001 has no exact double.
 */
export function hasFourDecimals(value: number): boolean {
  return Number.isInteger(value) || /^-?\d+\.\d{1,4}$/.test(String(value))
}

/** Formats of request validation beside the standard ones. */
export const formats = { amount: { type: 'number', validate: hasFourDecimals } } as const

/** Id of an order. */
export const OrderId = Type.String({
  pattern: ORDER_ID,
  description: '1 to 100 of A–Z, a–z, 0–9, underscore and hyphen. It names one order forever.',
  examples: ['test-001']
})

/** Amount of a new order, as clients send it. */
export const Amount = Type.Unsafe<number | string>({
  type: ['number', 'string'],
  exclusiveMinimum: 0,
  maximum: 999999.9999,
  format: 'amount',
  pattern: AMOUNT_TEXT,
  description:
    'A number or a string, above 0, at most 999999.9999, with at most four decimals as it is written; zeros at the end do not count. Only a number may have an exponent.',
  examples: [100, '99.95']
})

/** Body of `POST /orders`. */
export const NewOrder = Type.Object(
  { order_id: OrderId, amount: Amount },
  { $id: 'NewOrder', additionalProperties: false, description: 'An order to accept.' }
)
/** Body of `POST /orders`. */
export type NewOrder = Static<typeof NewOrder>

/** Path parameters of `GET /orders/:order_id`. */
export const OrderParams = Type.Object({ order_id: OrderId })

const Time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] })

const Money = (description: string) => Type.Number({ description, examples: [118] })

/** Why an order failed. */
export const Failure = Type.Object({
  code: Type.String({ description: 'A short code for programs.', examples: ['exhausted'] }),
  detail: Type.String({ description: 'What went wrong.' })
})
/** Why an order failed. */
export type Failure = Static<typeof Failure>

/** The document of an order, as POST and GET return it. */
export const Order = Type.Object(
  {
    order_id: OrderId,
    amount: Money('Amount before tax, exact.'),
    tax: Type.Union([Money('amount × tax rate, rounded half up to four decimals.'), Type.Null()]),
    total: Type.Union([Money('amount + tax.'), Type.Null()]),
    status: Type.Enum(['processing', 'completed', 'failed']),
    created_at: Time('When the order was accepted (UTC).'),
    updated_at: Time('When the document last changed (UTC).'),
    processed_at: Type.Union([Time('When the order was finished (UTC).'), Type.Null()]),
    failure: Type.Optional(Failure)
  },
  {
    $id: 'Order',
    additionalProperties: false,
    description:
      'An order as it is now. tax, total and processed_at are null while it is processing. failure exists only when it failed.'
  }
)
/** The document of an order. */
export type Order = Static<typeof Order>
