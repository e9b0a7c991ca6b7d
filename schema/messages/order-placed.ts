import { type Static, Type } from 'typebox'
import { OrderId } from '../http/order.ts'

/** The version of `OrderPlaced` that this code writes and knows. */
export const ORDER_PLACED_VERSION = '1'

/** The message on `placed`. It has everything for processing, so a worker needs no look-up. */
export const OrderPlaced = Type.Object(
  {
    order_id: OrderId,
    amount: Type.String({
      pattern: '^\\d{1,6}(\\.\\d{1,4})?$',
      description: 'Amount in its shortest exact form.'
    }),
    tax_rate: Type.String({
      pattern: '^[01](\\.\\d{1,6})?$',
      description: 'Tax rate at the time when the order was accepted.'
    }),
    accepted_at: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' })
  },
  { additionalProperties: false }
)
/** The message on `placed`. */
export type OrderPlaced = Static<typeof OrderPlaced>
