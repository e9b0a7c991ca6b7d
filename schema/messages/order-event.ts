import { type Static, Type } from 'typebox'
import { Order } from '../http/order.ts'

/** The message on `events`: a CloudEvent (1.0, JSON) about a finished order. */
export const OrderEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({
    description: 'The same for each delivery of the event.',
    examples: ['test-001:completed']
  }),
  source: Type.String(),
  type: Type.Enum(['order.completed', 'order.failed', 'order.cancelled']),
  subject: Type.String({ description: 'The order id.' }),
  tenant: Type.Optional(
    Type.String({ description: 'The tenant of the order. Missing for the default tenant.' })
  ),
  time: Type.String(),
  traceparent: Type.Optional(Type.String()),
  datacontenttype: Type.Literal('application/json'),
  data: Order
})
/** The message on `events`. */
export type OrderEvent = Static<typeof OrderEvent>
