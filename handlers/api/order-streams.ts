import type { FastifyReply } from 'fastify'
import { OrderParams } from '../../schema/http/order.ts'
import { EventStreamHeaders, EventStreamText, OrderEventsQuery } from '../../schema/http/order-events.ts'
import { anyRoute, problem, rendered, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { EVENT_STREAM, EventStream, renderEvent, renderId } from '../../src/http/event-stream.ts'
import { identityOf } from '../../src/orders/identity.ts'
import { statusOf, versionOfDocument } from '../../src/orders/order.ts'
import type { Followed } from '../../src/orders/watch/event-cursor.ts'
import type { Following } from '../../src/orders/watch/order-watch.ts'

const streamResponse = (description: string) =>
  rendered(EventStreamText, { description, mediaType: 'text/event-stream' })

const streamOrder = {
  operationId: 'streamOrder',
  summary: 'Wait for an order with server-sent events',
  description:
    'Sends one event when the order is final, with its document, and then ends. A client that has this event already gets 204.',
  tags: ['orders'],
  params: OrderParams,
  headers: EventStreamHeaders,
  response: {
    ...anyRoute,
    200: streamResponse('The event of the order, as soon as it is final.'),
    204: { description: 'The client has the event, as `Last-Event-ID` shows.' },
    404: problem('There is no such order.'),
    429: retryable('Too many requests.'),
    503: retryable('A store that may have the order is unavailable, or too many clients wait. Try again.')
  }
} as const

const streamOrderEvents = {
  operationId: 'streamOrderEvents',
  summary: 'Follow the events of orders',
  description:
    'Sends an event for each order that becomes final, until the client disconnects. `Last-Event-ID` continues a stream that was interrupted, also at another process. An event `reset` means that events may be missing: read the list of orders.',
  tags: ['orders'],
  querystring: OrderEventsQuery,
  headers: EventStreamHeaders,
  response: {
    ...anyRoute,
    200: streamResponse('The events, from now on or after `Last-Event-ID`.'),
    429: retryable('Too many requests.'),
    503: retryable('The events cannot be read now, or too many clients wait. Try again.')
  }
} as const

/** Clients ignore a comment. */
const COMMENT = ':\n\n'

const RESET = JSON.stringify({ detail: 'Events may be missing. Read the list of orders.' })

/** GET /orders/:order_id/stream waits for one order; GET /order-events follows the events of many. */
export default async function orderStreamRoutes(app: App) {
  const { orderWatch, orders } = app

  app.get(
    '/orders/:order_id/stream',
    { config: { scope: 'orders:read' }, schema: streamOrder },
    async ({ params: { order_id }, caller: { tenant }, headers, method }, reply) => {
      const identity = identityOf({ tenant, order_id })
      orderWatch.requireRoom()
      const wait = await orderWatch.wait(identity, () => orders.reader.read(identity))
      if (headers['last-event-id'] === versionOfDocument(wait.first.document)) {
        wait.end()
        return reply.code(204).send()
      }
      const stream = new EventStream({
        next: () => undefined,
        heartbeat: () => COMMENT,
        onClose: wait.end
      })
      void wait.final.then(document => {
        if (document !== undefined) stream.send(renderOrder(document))
        stream.end()
      })
      return sendStream(reply, method, stream)
    }
  )

  app.get(
    '/order-events',
    { config: { scope: 'orders:read' }, schema: streamOrderEvents },
    async ({ query: { customer_id, status }, caller: { tenant }, headers, method }, reply) => {
      orderWatch.requireRoom()
      let stream: EventStream | undefined
      const following = await orderWatch.follow(
        { tenant, status, customerId: customer_id },
        headers['last-event-id'],
        { onMore: () => stream?.wake(), onStop: () => stream?.end() }
      )
      stream = new EventStream({
        next: () => renderFollowed(following.next()),
        heartbeat: () => renderPosition(following),
        onClose: following.end
      })
      stream.send(renderPosition(following))
      if (app.lifecycle.draining) stream.end()
      return sendStream(reply, method, stream)
    }
  )
}

/** Sends the headers at once, and then the stream. Answers HEAD with the headers alone. */
function sendStream(reply: FastifyReply, method: string, stream: EventStream): FastifyReply {
  if (method === 'HEAD') stream.end()
  return reply
    .headers({ 'content-type': EVENT_STREAM, 'cache-control': 'no-cache', 'x-accel-buffering': 'no' })
    .send(stream)
}

/** Renders the position of a client, or a comment while there is none. */
function renderPosition(following: Following): string {
  const id = following.positions()
  return id === '' ? COMMENT : renderId(id)
}

function renderOrder(document: string): string {
  return renderEvent({
    id: versionOfDocument(document),
    event: `order.${statusOf(document)}`,
    data: document
  })
}

function renderFollowed(followed: Followed | undefined): string | undefined {
  if (!followed) return undefined
  const { kind, positions: id } = followed
  if (kind === 'reset') return renderEvent({ id, event: 'reset', data: RESET })
  const { status, document } = followed.event
  return renderEvent({ id, event: `order.${status}`, data: document })
}
