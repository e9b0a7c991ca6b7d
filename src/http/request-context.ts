import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** What `routeOf` gave. */
    knownRoute: FastifyRequest['routeOptions'] | null
  }
}

/** What a client may name its request: printable, and short enough to be carried along. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/

/** traceparent of W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The request's id: the client's own X-Request-Id where it is usable, else a new one. */
export function requestId(raw: Pick<IncomingMessage, 'headers'>): string {
  const given = raw.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

/** The route of a request. Fastify puts its options together each time they are asked for, and several hooks ask. */
export function routeOf(request: FastifyRequest): FastifyRequest['routeOptions'] {
  request.knownRoute ??= request.routeOptions
  return request.knownRoute
}

/** The request's traceparent if it is a valid one, else ''. */
export function traceparent(request: FastifyRequest): string {
  const given = request.headers.traceparent
  return typeof given === 'string' && TRACEPARENT.test(given) ? given : ''
}

/** The trace that the request is part of, for those who look for it. */
export function traceId(request: FastifyRequest): string | undefined {
  return TRACEPARENT.exec(traceparent(request))?.[1]
}
