import { OrderParams } from '../../schema/http/order.ts'
import { OrderTimeline } from '../../schema/http/order-timeline.ts'
import { anyRoute, problem, response, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { identityOf } from '../../src/orders/identity.ts'

const getOrderEvents = {
  operationId: 'getOrderEvents',
  summary: 'Read the timeline of an order',
  description: 'Returns what has happened to an order: each event with its time and its request.',
  tags: ['orders'],
  params: OrderParams,
  response: {
    ...anyRoute,
    200: response(OrderTimeline, { description: 'The events, the oldest one first.' }),
    400: problem('The id is invalid.'),
    404: problem('There is no such order.'),
    429: retryable('Too many requests.'),
    503: retryable('A store that may have the order is unavailable. Try again.')
  }
} as const

/** GET /orders/:order_id/events reads the timeline of an order. */
export default async function orderTimelineRoute(app: App) {
  app.get(
    '/orders/:order_id/events',
    { config: { scope: 'orders:read' }, schema: getOrderEvents },
    async ({ params: { order_id }, caller: { tenant } }) => ({
      order_id,
      events: await app.orders.timelines.read(identityOf({ tenant, order_id }))
    })
  )
}
