import { type Static, Type } from 'typebox'
import { CustomerId } from './order.ts'

/** The statuses of an order that have an event. */
export const FinalStatus = Type.Enum(['completed', 'failed', 'cancelled'])
/** A status of an order that has an event. */
export type FinalStatus = Static<typeof FinalStatus>

/** Query of `GET /order-events`. */
export const OrderEventsQuery = Type.Object(
  {
    customer_id: Type.Optional(CustomerId),
    status: Type.Optional(
      Type.Enum(FinalStatus.enum, { description: 'Only events of orders that get this status.' })
    )
  },
  { additionalProperties: false }
)

/** Headers of a request for server-sent events. */
export const EventStreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      maxLength: 8192,
      description: 'The `id` of the last event that the client has. The stream goes on after it.'
    })
  )
})

/** A stream of server-sent events. */
export const EventStreamText = Type.String({
  $id: 'EventStream',
  description:
    'Server-sent events: `event: order.completed`, `order.failed` or `order.cancelled`, with the document of the order as `data`. `event: reset` means that events may be missing.'
})
