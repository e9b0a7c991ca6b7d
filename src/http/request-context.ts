import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The route that `routeOf` returned. */
    knownRoute: FastifyRequest['routeOptions'] | null
  }
}

/** A usable request id of a client: printable, and short enough to pass on. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/

/** traceparent of W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** Returns the id of a request: the client's X-Request-Id if it is usable, else a new one. */
export function requestId(raw: Pick<IncomingMessage, 'headers'>): string {
  const clientId = raw.headers['x-request-id']
  return typeof clientId === 'string' && REQUEST_ID.test(clientId) ? clientId : randomUUID()
}

/**
 * Returns the route of a request, and keeps it for the next call. Fastify would build the options of the route at each
 * access.
 */
export function routeOf(request: FastifyRequest): FastifyRequest['routeOptions'] {
  request.knownRoute ??= request.routeOptions
  return request.knownRoute
}

/** Returns the traceparent of a request if it is valid, else ''. */
export function traceparent(request: FastifyRequest): string {
  const header = request.headers.traceparent
  return typeof header === 'string' && TRACEPARENT.test(header) ? header : ''
}

/** Returns the id of the trace that a request is part of; undefined without a valid traceparent. */
export function traceId(request: FastifyRequest): string | undefined {
  return TRACEPARENT.exec(traceparent(request))?.[1]
}
