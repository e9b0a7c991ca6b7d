import express, { type NextFunction, type Request, type Response } from 'express'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import { hasFourDecimals, type NewOrder } from '../../../../schema/http/order.ts'
import { keyPrefix, mysqlOptions, port, redisOptions } from '../shared/environment.ts'
import { accept, documentKey, findRow } from '../shared/orders.ts'
import { streamKey } from './stream.ts'

/**
 * The api of a service on Express, ioredis and mysql2. A POST makes one look-up in each store and one write. The
 * settings follow the documentation for production: no ETag, no X-Powered-By, prepared statements in a pool of mysql2,
 * and ioredis with its defaults. The api writes no log, which is an advantage for it.
 */
const prefix = keyPrefix()
const redis = new Redis(redisOptions())
const pool = createPool(mysqlOptions())
redis.on('error', console.error)

const app = express()
app.set('env', 'production')
app.set('etag', false)
app.disable('x-powered-by')

app.get('/health/ready', (_request, response) => {
  response.json({ status: 'ok' })
})

app.post('/orders', express.json({ limit: '16kb' }), async (request, response) => {
  if (!isNewOrder(request.body)) {
    response.status(400).json({ error: 'order_id and amount must be those of an order' })
    return
  }
  const { order_id } = request.body
  const known = await find(order_id)
  if (known !== undefined) {
    response.type('json').send(known)
    return
  }
  const { document, message } = accept(request.body)
  // Both commands are sent in one round trip.
  await Promise.all([
    redis.set(documentKey(prefix, order_id), document),
    redis.xadd(streamKey(prefix), '*', 'data', JSON.stringify(message))
  ])
  response.status(202).type('json').send(document)
})

app.get('/orders/:order_id', async (request, response) => {
  const document = await find(request.params.order_id)
  if (document === undefined) response.status(404).json({ error: 'There is no such order' })
  else response.type('json').send(document)
})

app.use((error: Error & { status?: number }, _request: Request, response: Response, _next: NextFunction) => {
  const status = error.status ?? 500
  if (status >= 500) console.error(error)
  response.status(status).json({ error: status >= 500 ? 'Something went wrong' : error.message })
})

const server = app.listen(port(), '127.0.0.1')
process.once('SIGTERM', () => {
  server.close(async () => {
    redis.disconnect()
    await pool.end()
  })
})

async function find(id: string): Promise<string | undefined> {
  return (await redis.get(documentKey(prefix, id))) ?? findRow(pool, id)
}

function isNewOrder(body: unknown): body is NewOrder {
  if (typeof body !== 'object' || body === null) return false
  const { order_id, amount, ...unknown } = body as Record<string, unknown>
  if (Object.keys(unknown).length > 0) return false
  if (typeof order_id !== 'string' || !/^[A-Za-z0-9_-]{1,100}$/.test(order_id)) return false
  if (typeof amount === 'number') return amount > 0 && amount <= 999999.9999 && hasFourDecimals(amount)
  return typeof amount === 'string' && /^(0|[1-9]\d{0,5})(\.\d{1,4})?$/.test(amount) && Number(amount) > 0
}
