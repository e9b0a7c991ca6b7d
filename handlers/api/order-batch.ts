import type { FastifyRequest } from 'fastify'
import { NewOrder } from '../../schema/http/order.ts'
import { OrderBatch, OrderBatchHeaders, OrderResult } from '../../schema/http/order-batch.ts'
import { ref } from '../../schema/http/ref.ts'
import { anyRoute, problem, response, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { createOrderBatches, NDJSON_TYPES } from '../../src/http/batch/order-batches.ts'

const acceptOrders = {
  operationId: 'acceptOrders',
  summary: 'Accept many orders',
  description:
    'Accepts each order as `POST /orders` does. The body is an array of orders, or NDJSON: one order in each line. The answer is NDJSON: one result for each order, in the order of the body. It begins while the body still arrives.',
  tags: ['orders'],
  headers: OrderBatchHeaders,
  body: {
    content: {
      'application/json': { schema: OrderBatch },
      ...Object.fromEntries(NDJSON_TYPES.map(type => [type, { schema: ref(NewOrder) }]))
    }
  },
  response: {
    ...anyRoute,
    200: response(OrderResult, {
      description: 'One line for each order. Each line has the status of its order.',
      mediaType: NDJSON_TYPES[0],
      headers: { 'Preference-Applied': '`return=representation` when the results have the orders.' }
    }),
    400: problem('The body is not a batch. No order was accepted.'),
    415: problem('The body is neither NDJSON nor JSON.'),
    429: retryable('Too many requests.'),
    503: retryable('The service is overloaded or stops. No order was accepted.')
  }
} as const

const ADVICE =
  'Send one order in each line, with the header Content-Type: application/x-ndjson, or an array with application/json.'

/** POST /orders/batch accepts many orders. */
export default async function orderBatch(app: App) {
  const { config, countFurther, lifecycle } = app
  const batches = createOrderBatches({ config, intake: app.orders.intake, countFurther })
  lifecycle.onDrain(async () => batches.stop())

  // The handler reads the bytes itself, while they arrive.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    ['application/json', ...NDJSON_TYPES],
    (_request: FastifyRequest, body: unknown, done: (error: null, body: unknown) => void) => done(null, body)
  )

  app.post(
    '/orders/batch',
    {
      config: { scope: 'orders:write', ownTimeout: true, mediaTypeAdvice: ADVICE },
      schema: acceptOrders,
      // The orders are validated one by one.
      validatorCompiler: () => () => true
    },
    (request, reply) => batches.serve(request as FastifyRequest, reply)
  )
}
