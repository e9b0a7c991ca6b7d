import { Redis } from 'ioredis'
import { inChunks } from '../shared/chunks.ts'
import { keyPrefix, redisOptions } from '../shared/environment.ts'
import { accept, documentKey } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'
import { streamKey } from './stream.ts'

/**
 * Creates the backlog of a drain. Writes the same messages and documents as the Express api, but in pipelines and
 * without HTTP or look-ups.
 */
const prefix = keyPrefix()
const redis = new Redis(redisOptions())

await inChunks(1000, async orders => {
  const pipeline = redis.pipeline()
  for (const order of orders) {
    const { document, message } = accept(order)
    pipeline.set(documentKey(prefix, order.order_id), document)
    pipeline.xadd(streamKey(prefix), '*', 'data', JSON.stringify(message))
  }
  await run(pipeline)
})

await redis.quit()
