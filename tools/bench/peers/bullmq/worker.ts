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
 * The worker of a service on Fastify and BullMQ: one job is one order, with one INSERT and one SETEX.
 * WORKER_CONCURRENCY of them (64 by default) run at once. The settings are those of BullMQ's guide for production. The
 * guide calls 100 to 300 usual for jobs that wait for stores and recommends to try: on two cores 64 drained some 8 % faster
 * than 32, and 128 or 200 no faster than 64. It logs errors only.
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
