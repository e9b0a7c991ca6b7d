import { Queue, type RedisOptions } from 'bullmq'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { redisOptions } from '../shared/environment.ts'

/** The queue of accepted orders, under the prefix of all keys. */
export const QUEUE = 'orders'

/** Name of every job on it. */
export const JOB = 'order'

/**
 * The adding side of the queue. It fails at once while Redis is away instead of keeping clients waiting. A job that is
 * done is removed, one that fails is tried three times, and the newest 5,000 that failed for good are kept.
 */
export function createQueue(prefix: string): Queue<OrderPlaced> {
  const connection: RedisOptions = { ...redisOptions(), enableOfflineQueue: false, maxRetriesPerRequest: 1 }
  const queue = new Queue<OrderPlaced>(QUEUE, {
    connection,
    prefix,
    defaultJobOptions: {
      attempts: 3,
      backoff: { type: 'exponential', delay: 1000 },
      removeOnComplete: true,
      removeOnFail: 5000
    }
  })
  queue.on('error', console.error)
  return queue
}
