import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { ORDER_PLACED_VERSIONS } from '../../../../schema/messages/order-placed.ts'
import { inChunks } from '../shared/chunks.ts'
import { keyPrefix, redisOptions } from '../shared/environment.ts'
import { place } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'

/**
 * The limit of XADDs: a loop on one connection that appends 500 messages in a pipeline, with the fields and the size that
 * the service writes. It has no script, no document, no look-up of known orders and no limit of the stream.
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
    pipeline.xadd(stream, '*', 'v', ORDER_PLACED_VERSIONS.plain, 'data', data, ...origin)
  }
  await run(pipeline)
})

await redis.quit()
