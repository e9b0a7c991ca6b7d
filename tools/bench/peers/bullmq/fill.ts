import { Redis } from 'ioredis'
import { inChunks } from '../shared/chunks.ts'
import { keyPrefix, redisOptions } from '../shared/environment.ts'
import { accept, documentKey } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'
import { createQueue, JOB } from './queue.ts'

/**
 * Creates the backlog of a drain. Writes the same jobs and documents as the BullMQ api, but in bulk and without HTTP or
 * look-ups.
 */
const prefix = keyPrefix()
const redis = new Redis(redisOptions())
const queue = createQueue(prefix)
await queue.waitUntilReady()

await inChunks(1000, async orders => {
  const accepted = orders.map(accept)
  const documents = redis.pipeline()
  for (const { document, message } of accepted) documents.set(documentKey(prefix, message.order_id), document)
  await run(documents)
  await queue.addBulk(
    accepted.map(({ message }) => ({ name: JOB, data: message, opts: { jobId: message.order_id } }))
  )
})

await Promise.all([queue.close(), redis.quit()])
