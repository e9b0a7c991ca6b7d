import { type Static, Type } from 'typebox'
import { Failure, OrderId } from './order.ts'

/** One event in the timeline of an order. */
export const TimelineEvent = Type.Object({
  type: Type.Enum(['accepted', 'retried', 'completed', 'failed', 'redriven', 'cancelled'], {
    description:
      '`retried`: an attempt failed, and the order is tried again. `redriven`: an operator gave the failed order new attempts.'
  }),
  time: Type.String({
    format: 'date-time',
    description: 'When it happened (UTC).',
    examples: ['2026-01-31T12:00:00.000Z']
  }),
  request_id: Type.Union([Type.String(), Type.Null()], {
    description:
      'The request that caused it: of a retry, a failure and a completion, the request that sent the order. Null when it is not known, which for a new order is so until a worker has written it.'
  }),
  attempt: Type.Optional(Type.Integer({ description: 'The number of the attempt, of `retried`.' })),
  failure: Type.Optional(Failure)
})
/** One event in the timeline of an order. */
export type TimelineEvent = Static<typeof TimelineEvent>

/** The timeline of an order, as `GET /orders/:order_id/events` returns it. */
export const OrderTimeline = Type.Object(
  {
    order_id: OrderId,
    events: Type.Array(TimelineEvent, { description: 'The oldest event is first.' })
  },
  { $id: 'OrderTimeline', description: 'What has happened to an order.' }
)
/** The timeline of an order, as `GET /orders/:order_id/events` returns it. */
export type OrderTimeline = Static<typeof OrderTimeline>
