import { Queue, type RedisOptions } from 'bullmq'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { redisOptions } from '../shared/environment.ts'

/** The queue of accepted orders, under the prefix of all keys. */
export const QUEUE = 'orders'

/** Name of every job on it. */
export const JOB = 'order'

/**
 * Creates the producing side of the queue. It fails at once while Redis is unavailable. A completed job is removed, a
 * failing one is tried three times, and the newest 5,000 failed jobs are kept.
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
