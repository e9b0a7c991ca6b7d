import { type Static, Type } from 'typebox'
import { Currency } from '../http/currency.ts'
import { Tenant } from '../http/key.ts'
import { Item, OrderId } from '../http/order.ts'

/**
 * The versions of `OrderPlaced`. A `plain` message has no optional field, no tenant and an amount below a
 * million, so every release can read it. All other messages are `full`.
 */
export const ORDER_PLACED_VERSIONS = { plain: '1', full: '2' } as const
/** A version of `OrderPlaced`. */
export type OrderPlacedVersion = (typeof ORDER_PLACED_VERSIONS)[keyof typeof ORDER_PLACED_VERSIONS]

/** The message on `placed`. It has all data that a worker needs to process the order. */
export const OrderPlaced = Type.Object(
  {
    tenant: Type.Optional(Tenant),
    order_id: OrderId,
    amount: Type.String({
      pattern: '^\\d{1,10}(\\.\\d{1,4})?$',
      description: 'Amount in its shortest exact form.'
    }),
    tax_rate: Type.String({
      pattern: '^[01](\\.\\d{1,6})?$',
      description: 'Tax rate at the time when the order was accepted.'
    }),
    accepted_at: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }),
    currency: Type.Optional(Currency),
    customer_id: Type.Optional(Type.String()),
    region: Type.Optional(Type.String()),
    items: Type.Optional(Type.Array(Item)),
    metadata: Type.Optional(Type.Record(Type.String(), Type.String()))
  },
  { additionalProperties: false }
)
/** The message on `placed`. */
export type OrderPlaced = Static<typeof OrderPlaced>
