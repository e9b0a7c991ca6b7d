import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { NewOrder, Order, OrderParams, PreferWait } from '../../schema/http/order.ts'
import { ref } from '../../schema/http/ref.ts'
import { anyRoute, problem, rendered, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import type { Caller } from '../../src/auth/caller.ts'
import { hasCurrent } from '../../src/http/etag.ts'
import { readPreferences } from '../../src/http/prefer.ts'
import { publicUrl } from '../../src/http/public-url.ts'
import { traceparent } from '../../src/http/request-context.ts'
import { OrderConflict } from '../../src/orders/errors.ts'
import { identityOf } from '../../src/orders/identity.ts'
import { haveDocumentsSameBody, versionOfDocument } from '../../src/orders/order.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

/** The longest time that a request waits (s). */
const LONGEST_WAIT = 60

const APPLIED = {
  'Preference-Applied': 'The preference that was applied: `wait=` and the longest time in seconds.'
}

const createOrder = {
  operationId: 'createOrder',
  summary: 'Accept an order',
  description:
    'Answers as soon as the order is stored. A worker prices it afterwards. The id makes the request idempotent: the same body returns the order as it is now, another body is refused.',
  tags: ['orders'],
  body: ref(NewOrder),
  response: {
    ...anyRoute,
    200: rendered(Order, {
      description: 'The order exists with the same body.',
      headers: { 'Idempotent-Replayed': 'Always `true`.', ...APPLIED }
    }),
    202: rendered(Order, {
      description: 'The order is accepted.',
      headers: {
        Location: 'Where to read the order.',
        Durability:
          'Where the order is stored: `fsync` or `mysql` (on disk), `replicated` (on several servers), or `memory` (on disk after the next sync).',
        ...APPLIED
      }
    }),
    400: problem('The body is not a valid order.'),
    409: problem('The order exists with another body.'),
    413: problem('The body is too large.'),
    415: problem('The body is not JSON.'),
    429: retryable('Too many requests.'),
    503: retryable('The order was probably not accepted. Send the same request again.')
  }
} as const

const getOrder = {
  operationId: 'getOrder',
  summary: 'Read an order',
  description: 'Finds an accepted order from the moment of its 202.',
  tags: ['orders'],
  params: OrderParams,
  response: {
    ...anyRoute,
    200: rendered(Order, {
      description: 'The order as it is now.',
      headers: {
        'X-Cache': '`hit`: from a cache. `miss`: from MySQL.',
        ETag: 'Names this state of the order. Send it in `If-None-Match` to get 304 while the order is unchanged.',
        ...APPLIED
      }
    }),
    304: { description: 'The order is as `If-None-Match` names it.', headers: { ETag: Type.String() } },
    400: problem('The id is invalid.'),
    404: problem('There is no such order.'),
    429: retryable('Too many requests.'),
    503: retryable('A store that may have the order is unavailable. Try again.')
  }
} as const

const cancelOrder = {
  operationId: 'cancelOrder',
  summary: 'Cancel an order',
  description:
    'Cancels an order while it is processing. It then never completes. An order that is cancelled already is returned as it is.',
  tags: ['orders'],
  params: OrderParams,
  response: {
    ...anyRoute,
    200: rendered(Order, { description: 'The order is cancelled.' }),
    400: problem('The id is invalid.'),
    404: problem('There is no such order.'),
    409: problem('The order is completed or failed.'),
    429: retryable('Too many requests.'),
    503: retryable('A store is unavailable: a cancel needs both. Send the same request again.')
  }
} as const

/** Returns the identity of the order that a request names. Each caller has a tenant. */
function identity({ caller, params }: { caller: Caller; params: OrderParams }): string {
  return identityOf({ tenant: caller.tenant, order_id: params.order_id })
}

/** POST /orders accepts an order; GET /orders/:order_id reads it; POST /orders/:order_id/cancel cancels it. */
export default async function orderRoutes(app: App) {
  const { canceller, intake, reader } = app.orders
  const untilFinal = createUntilFinal(app)
  const location = `${publicUrl(app.config)}/orders/`

  app.post(
    '/orders',
    { config: { scope: 'orders:write', headers: PreferWait }, schema: createOrder },
    async (request, reply) => {
      const { tenant } = request.caller
      const origin = { tenant, requestId: request.id, traceparent: traceparent(request) }
      const accept = () => intake.accept(request.body, origin)
      const { wait } = readPreferences(request.headers.prefer)
      const { order_id } = request.body
      const { document, durability } =
        wait === undefined
          ? await accept()
          : requireSameBody(order_id, await untilFinal(reply, identityOf({ tenant, order_id }), wait, accept))
      if (durability)
        reply
          .code(202)
          .header('location', location + order_id)
          .header('durability', durability)
      else reply.code(200).header('idempotent-replayed', 'true')
      return reply.header('content-type', JSON_TYPE).send(document)
    }
  )

  app.get(
    '/orders/:order_id',
    { config: { scope: 'orders:read', headers: PreferWait }, schema: getOrder },
    async (request, reply) => {
      const named = identity(request)
      const read = () => reader.read(named)
      const { wait } = readPreferences(request.headers.prefer)
      const { document, cache } =
        wait === undefined ? await read() : newestOf(await untilFinal(reply, named, wait, read))
      const etag = `"${versionOfDocument(document)}"`
      reply.header('etag', etag)
      if (hasCurrent(request.headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.header('content-type', JSON_TYPE).header('x-cache', cache).send(document)
    }
  )

  app.post(
    '/orders/:order_id/cancel',
    { config: { scope: 'orders:write' }, schema: cancelOrder },
    async (request, reply) => {
      const document = await canceller.cancel(identity(request), request.id)
      return reply.header('content-type', JSON_TYPE).send(document)
    }
  )
}

/** What `read` of `untilFinal` has returned, and the newest document. */
interface Waited<T> {
  first: T
  document: string
}

/**
 * Creates the function that reads an order with `read`, and then waits until it is final, at most `seconds`. A stop and
 * a client that disconnects end the wait.
 */
function createUntilFinal({ orderWatch, orders }: App) {
  return async <T extends { document: string }>(
    { raw }: FastifyReply,
    identity: string,
    seconds: number,
    read: () => Promise<T>
  ): Promise<Waited<T>> => {
    const longest = Math.min(seconds, LONGEST_WAIT)
    const { first, final, end } = await orderWatch.wait(identity, read)
    const timer = setTimeout(end, longest * 1000)
    raw.once('close', end)
    if (raw.destroyed) end()
    const document = await final
    clearTimeout(timer)
    raw.off('close', end)
    raw.setHeader('preference-applied', `wait=${longest}`)
    if (document !== undefined) return { first, document }
    const newest = await orders.reader.read(identity).catch(() => first)
    return { first, document: newest.document }
  }
}

function newestOf<T extends { document: string }>({ first, document }: Waited<T>): T {
  return { ...first, document }
}

/**
 * Returns the result of an accept with the newest document.
 * @throws {OrderConflict} when the final order has another body. Both were accepted while a store was unavailable.
 */
function requireSameBody<T extends { document: string }>(orderId: string, waited: Waited<T>): T {
  if (!haveDocumentsSameBody(waited.first.document, waited.document)) throw new OrderConflict(orderId)
  return newestOf(waited)
}
