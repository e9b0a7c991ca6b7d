import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { ORDER_PLACED_VERSION } from '../../../../schema/messages/order-placed.ts'
import { inChunks } from '../shared/chunks.ts'
import { keyPrefix, redisOptions } from '../shared/environment.ts'
import { place } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'

/**
 * What a plain loop on one connection appends: pipelines of 500 XADDs, one after the other, with messages of the fields and
 * the size that the service writes. No script, no document, no look-up for known orders, no limit to the stream.
 */
const redis = new Redis(redisOptions())
const stream = `${keyPrefix()}:append`
const epoch = randomUUID()
let number = 0

await inChunks(500, async orders => {
  const pipeline = redis.pipeline()
  for (const order of orders) {
    const data = JSON.stringify(place(order))
    const origin = ['request_id', randomUUID(), 'ordinal', `${epoch}:${++number}`]
    pipeline.xadd(stream, '*', 'v', ORDER_PLACED_VERSION, 'data', data, ...origin)
  }
  await run(pipeline)
})

await redis.quit()
