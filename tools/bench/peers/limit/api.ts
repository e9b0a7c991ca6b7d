import { NewOrder, Order, OrderParams } from '../../../../schema/http/order.ts'
import { renderDocument } from '../../../../src/orders/order.ts'
import { complete } from '../../../../src/orders/pricing.ts'
import { port } from '../shared/environment.ts'
import { createServer } from '../shared/fastify.ts'

/**
 * What Fastify itself can answer at most on this machine: the routes of our API with its schemas, its validators and
 * answers of its size, and no store, no log, no metrics, no limits behind them. A POST builds the document as an object
 * that Fastify serialises through the response schema; a GET sends a constant text. It keeps nothing, so nothing that
 * does the work could be as fast.
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
