import { type Static, Type } from 'typebox'
import { Amount, CustomerId, type Order } from './order.ts'

/** The ways to sort a list: by the time of acceptance or by the amount, ascending or descending. */
export const ORDERINGS = ['created_at', '-created_at', 'amount', '-amount'] as const
/** A way to sort a list. */
export type Ordering = (typeof ORDERINGS)[number]

const Time = (description: string) =>
  Type.Optional(
    Type.String({
      format: 'date-time',
      // A leap second is invalid. So is a year that a column of MySQL cannot store.
      pattern: '^[12]\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:[0-5]\\d(\\.\\d{1,3})?(Z|[+-]\\d\\d:\\d\\d)$',
      description,
      examples: ['2026-01-31T12:00:00Z']
    })
  )

/** Query parameters of `GET /orders`. Validation fills in the defaults. */
export const OrderQuery = Type.Object(
  {
    status: Type.Optional(
      Type.Enum(['processing', 'completed', 'failed', 'cancelled'], {
        description: 'Only orders with this status.'
      })
    ),
    customer_id: Type.Optional(CustomerId),
    created_after: Time('Only orders accepted after this time.'),
    created_before: Time('Only orders accepted before this time.'),
    min_amount: Type.Optional(Amount),
    max_amount: Type.Optional(Amount),
    order: Type.Enum([...ORDERINGS], {
      default: '-created_at',
      description:
        'By time or by amount; `-` for the last or the largest first. Only `amount` takes `min_amount` and `max_amount`, and it takes no other filter.'
    }),
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'Most orders of one page.' }),
    cursor: Type.Optional(
      Type.String({
        maxLength: 500,
        description: 'The `next` of the page before, with the same filters and order.'
      })
    )
  },
  { additionalProperties: false, required: [] }
)
/** Query parameters of `GET /orders`. */
export type OrderQuery = Static<typeof OrderQuery>

/** A page of orders. */
export const OrderList = Type.Object(
  {
    orders: Type.Array(Type.Unsafe<Order>({ $ref: 'Order#' })),
    has_more: Type.Boolean({ description: 'Whether the next page has orders now.' }),
    next: Type.Union([Type.String({ description: 'Send it as `cursor` for the next page.' }), Type.Null()], {
      description: 'Null when no later page will ever have an order.'
    }),
    as_of: Type.String({
      format: 'date-time',
      description: 'The list has every order accepted before this time, and no later one.'
    })
  },
  { $id: 'OrderList', description: 'A page of orders.' }
)
