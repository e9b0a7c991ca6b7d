import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import type { OrderPlaced } from '../../../../schema/messages/order-placed.ts'
import { renderDocument } from '../../../../src/orders/order.ts'
import { fromRedis } from '../../../../src/stores/driver-errors.ts'
import { GroupExists } from '../../../../src/stores/errors.ts'
import type { Entry } from '../../../../src/streams/group/delivery.ts'
import { keyPrefix, mysqlOptions, port, redisOptions } from '../shared/environment.ts'
import { completeOrder, DOCUMENT_TTL, documentKey, insertOrder } from '../shared/orders.ts'
import { run } from '../shared/pipeline.ts'
import { serveReady } from '../shared/ready.ts'
import { GROUP, streamKey } from './stream.ts'

/**
 * The worker of a service on ioredis and mysql2. It reads a hundred messages at a time and processes one order after
 * another. For each order it commits an INSERT. After that, one round trip stores the document and acknowledges the
 * message. The blocking read has its own connection, as ioredis recommends. The worker does not retry a failed message,
 * and does not claim the messages of a killed worker. It logs only errors.
 */
const prefix = keyPrefix()
const stream = streamKey(prefix)
const consumer = `worker-${process.pid}`
const redis = new Redis(redisOptions())
const reader = redis.duplicate()
const pool = createPool(mysqlOptions())
redis.on('error', console.error)
reader.on('error', console.error)

let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})

await createGroup()
const ready = await serveReady(port())

while (!stopping) {
  for (const [id, [, data = '']] of await read()) {
    await complete(id, JSON.parse(data)).catch(error => console.error(`message ${id} stays pending:`, error))
  }
}

ready.close()
reader.disconnect()
redis.disconnect()
await pool.end()

async function createGroup(): Promise<void> {
  try {
    await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM')
  } catch (error) {
    if (!(fromRedis(error) instanceof GroupExists)) throw error
  }
}

async function read(): Promise<Entry[]> {
  try {
    const reply = await reader.xreadgroup(
      'GROUP',
      GROUP,
      consumer,
      'COUNT',
      100,
      'BLOCK',
      1000,
      'STREAMS',
      stream,
      '>'
    )
    return (reply as [string, Entry[]][] | null)?.[0]?.[1] ?? []
  } catch (error) {
    console.error(error)
    await sleep(1000)
    return []
  }
}

async function complete(id: string, message: OrderPlaced): Promise<void> {
  const order = completeOrder(message, id)
  await insertOrder(pool, order)
  await run(
    redis
      .multi()
      .setex(documentKey(prefix, order.order_id), DOCUMENT_TTL, renderDocument(order))
      .xack(stream, GROUP, id)
      .xdel(stream, id)
  )
}
