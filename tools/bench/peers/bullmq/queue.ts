import { Queue, QueueEvents, type RedisOptions } from 'bullmq'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { redisOptions } from '../shared/environment.ts'

/** The name of the queue of accepted orders. */
export const QUEUE = 'orders'

/** The name of every job in this queue. */
export const JOB = 'order'

/**
 * Creates the side of the queue that adds jobs. A call fails at once while Redis is unavailable. BullMQ removes
 * completed jobs, tries a job three times, and keeps the newest 5,000 failed jobs.
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

/** Creates the reader of the queue's events, with a connection of its own, as `waitUntilFinished` needs it. */
export function createQueueEvents(prefix: string): QueueEvents {
  const events = new QueueEvents(QUEUE, {
    connection: { ...redisOptions(), maxRetriesPerRequest: null },
    prefix
  })
  // Each job that a client waits for has two listeners of its own.
  events.setMaxListeners(0)
  events.on('error', console.error)
  return events
}
