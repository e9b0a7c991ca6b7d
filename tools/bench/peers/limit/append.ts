import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { ORDER_PLACED_VERSIONS } from '../../../../schema/messages/order-placed.ts'
import { inChunks } from '../shared/chunks.ts'
import { keyPrefix, redisOptions } from '../shared/environment.ts'
import { place } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'

/**
 * The limit of XADDs. A loop on one connection appends 500 messages in each pipeline. The messages have the fields and
 * the size of the messages of the service. The loop has no script, no document, no look-up of known orders and no limit
 * of the stream.
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
