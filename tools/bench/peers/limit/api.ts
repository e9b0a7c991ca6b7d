import { NewOrder, Order, OrderParams } from '../../../../schema/http/order.ts'
import { renderDocument } from '../../../../src/orders/order.ts'
import { complete } from '../../../../src/orders/pricing.ts'
import { port } from '../shared/environment.ts'
import { createServer } from '../shared/fastify.ts'

/**
 * The limit of Fastify on this machine. It has the routes of the service, with the same schemas, validators and size of
 * the answers. It has no stores, log, metrics or limits. A POST builds the document as an object, and Fastify
 * serialises the object with the response schema. A GET sends a constant text.
 */
const app = createServer()

app.post('/orders', { schema: { body: NewOrder, response: { 202: Order } } }, async (request, reply) => {
  const { order_id, amount } = request.body
  const now = new Date().toISOString()
  return reply.code(202).send({
    order_id,
    amount: Number(amount),
    tax: null,
    total: null,
    status: 'processing',
    created_at: now,
    updated_at: now,
    processed_at: null
  })
})

const document = renderDocument(
  complete(
    {
      order_id: '0123abcd-bench-123456',
      amount: '1234.56',
      tax_rate: '0.18',
      accepted_at: new Date().toISOString()
    },
    new Date().toISOString()
  )
)

app.get('/orders/:order_id', { schema: { params: OrderParams } }, async (_request, reply) =>
  reply.header('content-type', 'application/json; charset=utf-8').send(document)
)

process.once('SIGTERM', () => app.close())
await app.listen({ host: '127.0.0.1', port: port() })
