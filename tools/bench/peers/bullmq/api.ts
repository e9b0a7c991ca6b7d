import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import { NewOrder, OrderParams } from '../../../../schema/http/order.ts'
import { compileBody } from '../../../../src/http/validation.ts'
import { keyPrefix, mysqlOptions, port, redisOptions } from '../shared/environment.ts'
import { createServer } from '../shared/fastify.ts'
import { accept, documentKey, findRow } from '../shared/orders.ts'
import { createQueue, createQueueEvents, JOB } from './queue.ts'

/**
 * The api of a service on Fastify and BullMQ. It stores the document if there is none, and then adds a job with the id
 * of the order. BullMQ accepts each id once. A batch adds 500 jobs with one `addBulk`, and ends with an error when one of
 * them fails. A client that waits gets its answer from `waitUntilFinished`. The api does not look in MySQL before it
 * accepts an order, and writes no log. Both are an advantage for it.
 */
const JSON_TEXT = 'application/json; charset=utf-8'
const prefix = keyPrefix()
const redis = new Redis(redisOptions())
const pool = createPool(mysqlOptions())
const queue = createQueue(prefix)
const events = createQueueEvents(prefix)
redis.on('error', console.error)

const app = createServer()

app.post('/orders', { schema: { body: NewOrder } }, async (request, reply) => {
  const { order_id } = request.body
  const { document, message } = accept(request.body)
  const key = documentKey(prefix, order_id)
  reply.header('content-type', JSON_TEXT)
  const known = await redis.set(key, document, 'NX', 'GET')
  if (known !== null) return reply.send(known)
  const wait = waitOf(request.headers.prefer)
  const job = await queue
    .add(JOB, message, { jobId: order_id, ...(wait ? WAITED : {}) })
    .catch(async (error: unknown) => {
      // Without this, the order would look accepted but would have no job.
      await redis.del(key)
      throw error
    })
  reply.code(202)
  if (!wait) return reply.send(document)
  await job.waitUntilFinished(events, wait * 1000)
  return reply.header('preference-applied', `wait=${wait}`).send(await redis.get(key))
})

/** The options of a job that a client waits for: `waitUntilFinished` fails when a finished job is gone. */
const WAITED = { removeOnComplete: { count: 1000 } }

/** Returns the seconds of `Prefer: wait`; undefined without one. */
function waitOf(prefer: unknown): number | undefined {
  const seconds = /^wait=(\d+)$/.exec(String(prefer))?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

/** The orders that one call of `addBulk` adds. */
const CHUNK = 500

app.register(async route => {
  const validate = compileBody(NewOrder)
  route.addContentTypeParser('application/x-ndjson', (_request, body, done) => done(null, body))
  route.post('/orders/batch', async (request, reply) => {
    reply.header('content-type', 'application/x-ndjson')
    return reply.send(Readable.from(results(request.body as Readable)))
  })

  async function* results(body: Readable) {
    let index = 0
    let chunk: string[] = []
    for await (const line of createInterface({ input: body })) {
      chunk.push(line)
      if (chunk.length < CHUNK) continue
      yield await acceptAll(chunk, index)
      index += chunk.length
      chunk = []
    }
    if (chunk.length > 0) yield await acceptAll(chunk, index)
  }

  /** Accepts the orders of some lines. Returns the results as text. */
  async function acceptAll(lines: string[], first: number): Promise<string> {
    const orders = lines.map(line => JSON.parse(line) as NewOrder)
    const valid = orders.filter(order => validate(order) === undefined)
    const accepted = valid.map(order => accept(order))
    const pipeline = redis.pipeline()
    for (const { document, message } of accepted)
      pipeline.set(documentKey(prefix, message.order_id), document, 'NX', 'GET')
    const known = (await pipeline.exec()) ?? []
    const fresh = accepted.filter((_, index) => known[index]?.[1] === null)
    await queue.addBulk(
      fresh.map(({ message }) => ({ name: JOB, data: message, opts: { jobId: message.order_id } }))
    )
    const isFresh = new Set(fresh.map(({ message }) => message.order_id))
    const isValid = new Set(valid)
    return orders
      .map((order, index) => {
        const status = isFresh.has(order.order_id) ? 202 : isValid.has(order) ? 200 : 400
        return `{"index":${first + index},"order_id":"${order.order_id}","status":${status}}\n`
      })
      .join('')
  }
})

app.get('/orders/:order_id', { schema: { params: OrderParams } }, async (request, reply) => {
  const { order_id } = request.params
  const document = (await redis.get(documentKey(prefix, order_id))) ?? (await findRow(pool, order_id))
  if (document === undefined) return reply.code(404).send({ error: 'There is no such order' })
  return reply.header('content-type', JSON_TEXT).send(document)
})

app.addHook('onClose', async () => {
  await Promise.all([queue.close(), events.close(), pool.end()])
  redis.disconnect()
})

process.once('SIGTERM', () => app.close())
await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
await app.listen({ host: '127.0.0.1', port: port() })
