import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { renderDocument } from '../../../../src/orders/order.ts'
import { keyPrefix, mysqlOptions, port, redisOptions } from '../shared/environment.ts'
import { completeOrder, DOCUMENT_TTL, documentKey, insertOrder } from '../shared/orders.ts'
import { serveReady } from '../shared/ready.ts'
import { QUEUE } from './queue.ts'

/**
 * The worker of a service on Fastify and BullMQ. A job is one order, with one INSERT and one SETEX. WORKER_CONCURRENCY
 * jobs (64 by default) run at the same time. The settings follow the guide of BullMQ for production. The guide says
 * that 100 to 300 jobs are usual when jobs wait for stores, and recommends tests. On two cores, 64 jobs were about 8 %
 * faster than 32, and 128 or 200 jobs were not faster than 64. The worker logs only errors.
 */
const prefix = keyPrefix()
const concurrency = Number(process.env.WORKER_CONCURRENCY ?? 64)
const redis = new Redis({ ...redisOptions(), maxRetriesPerRequest: null })
const pool = createPool({ ...mysqlOptions(), connectionLimit: Math.min(concurrency, 32) })
redis.on('error', console.error)

const worker = new Worker<OrderPlaced>(
  QUEUE,
  async ({ id, data }) => {
    const order = completeOrder(data, id as string)
    await insertOrder(pool, order)
    await redis.setex(documentKey(prefix, order.order_id), DOCUMENT_TTL, renderDocument(order))
  },
  { connection: { ...redisOptions(), maxRetriesPerRequest: null }, prefix, concurrency }
)
worker.on('error', console.error)
worker.on('failed', (job, error) => console.error(`job ${job?.id} failed:`, error))

await worker.waitUntilReady()
const ready = await serveReady(port())

process.once('SIGTERM', async () => {
  ready.close()
  await worker.close()
  redis.disconnect()
  await pool.end()
})
