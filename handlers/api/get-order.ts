import { Order, OrderParams } from '../../schema/http/order.ts'
import { anyRoute, problem, rendered, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'

const schema = {
  operationId: 'getOrder',
  summary: 'Read an order',
  description: 'An accepted order is found from the moment of its 202.',
  tags: ['orders'],
  params: OrderParams,
  response: {
    ...anyRoute,
    200: rendered(Order, {
      description: 'The order as it stands.',
      headers: { 'X-Cache': '`hit`: a cache answered; `miss`: MySQL did.' }
    }),
    400: problem('The id is not a valid one.'),
    404: problem('There is no such order.'),
    429: retryable('Too many requests.'),
    503: retryable('The store that may know the order is away; try again.')
  }
} as const

/** GET /orders/:order_id: reads an order. */
export default async function getOrder(app: App) {
  const { reader } = app.orders

  app.get('/orders/:order_id', { schema }, async (request, reply) => {
    const { document, cache } = await reader.read(request.params.order_id)
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .header('x-cache', cache)
      .send(document)
  })
}
