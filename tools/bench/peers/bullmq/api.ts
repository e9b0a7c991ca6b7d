import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import { NewOrder, OrderParams } from '../../../../schema/http/order.ts'
import { keyPrefix, mysqlOptions, port, redisOptions } from '../shared/environment.ts'
import { createServer } from '../shared/fastify.ts'
import { accept, documentKey, findRow } from '../shared/orders.ts'
import { createQueue, JOB } from './queue.ts'

/**
 * The api of a service on Fastify and BullMQ. It stores the document if there is none, and then adds a job with the id
 * of the order. BullMQ accepts each id once. The api does not look in MySQL before it accepts an order, and writes no
 * log. Both are an advantage for it.
 */
const JSON_TEXT = 'application/json; charset=utf-8'
const prefix = keyPrefix()
const redis = new Redis(redisOptions())
const pool = createPool(mysqlOptions())
const queue = createQueue(prefix)
redis.on('error', console.error)

const app = createServer()

app.post('/orders', { schema: { body: NewOrder } }, async (request, reply) => {
  const { order_id } = request.body
  const { document, message } = accept(request.body)
  const key = documentKey(prefix, order_id)
  reply.header('content-type', JSON_TEXT)
  const known = await redis.set(key, document, 'NX', 'GET')
  if (known !== null) return reply.send(known)
  try {
    await queue.add(JOB, message, { jobId: order_id })
  } catch (error) {
    // Without this, the order would look accepted but would have no job.
    await redis.del(key)
    throw error
  }
  return reply.code(202).send(document)
})

app.get('/orders/:order_id', { schema: { params: OrderParams } }, async (request, reply) => {
  const { order_id } = request.params
  const document = (await redis.get(documentKey(prefix, order_id))) ?? (await findRow(pool, order_id))
  if (document === undefined) return reply.code(404).send({ error: 'There is no such order' })
  return reply.header('content-type', JSON_TEXT).send(document)
})

app.addHook('onClose', async () => {
  await Promise.all([queue.close(), pool.end()])
  redis.disconnect()
})

process.once('SIGTERM', () => app.close())
await queue.waitUntilReady()
await app.listen({ host: '127.0.0.1', port: port() })
