import { NewOrder, Order } from '../../schema/http/order.ts'
import { ref } from '../../schema/http/ref.ts'
import { anyRoute, problem, rendered, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { publicUrl } from '../../src/http/public-url.ts'
import { traceparent } from '../../src/http/request-context.ts'
import { OrderConflict } from '../../src/orders/errors.ts'

const schema = {
  operationId: 'createOrder',
  summary: 'Accept an order',
  description:
    'Answers as soon as the order is safe; a worker prices it afterwards. The id makes it idempotent: the same body again gives the order as it stands, another body is refused.',
  tags: ['orders'],
  body: ref(NewOrder),
  response: {
    ...anyRoute,
    200: rendered(Order, {
      description: 'The order was known, with the same body.',
      headers: { 'Idempotent-Replayed': 'Always `true`.' }
    }),
    202: rendered(Order, {
      description: 'The order is accepted.',
      headers: {
        Location: 'Where to read the order.',
        Durability: 'What holds it: `fsync` or `mysql` (a disk), or `memory` (until the next sync).'
      }
    }),
    400: problem('The body is not a valid order.'),
    409: problem('The id names an order with another body.'),
    413: problem('The body is too large.'),
    415: problem('The body is not JSON.'),
    429: retryable('Too many requests.'),
    503: retryable('The order was not accepted, as far as is known; send the same again.')
  }
} as const

/** POST /orders: takes an order in. */
export default async function createOrder(app: App) {
  const { intake } = app.orders
  const location = `${publicUrl(app.config)}/orders/`

  app.post('/orders', { schema }, async (request, reply) => {
    try {
      const { document, accepted } = await intake.accept(request.body, {
        requestId: request.id,
        traceparent: traceparent(request)
      })
      reply.header('content-type', 'application/json; charset=utf-8')
      if (accepted) {
        app.metrics.order('accepted')
        reply
          .code(202)
          .header('location', location + request.body.order_id)
          .header('durability', accepted)
      } else {
        app.metrics.order('replayed')
        reply.code(200).header('idempotent-replayed', 'true')
      }
      return reply.send(document)
    } catch (error) {
      if (error instanceof OrderConflict) app.metrics.order('conflict')
      throw error
    }
  })
}
