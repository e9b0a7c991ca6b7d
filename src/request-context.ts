import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that this request is answered with, for its log line. */
    failure: { id: string; error: Error } | null
  }
  interface FastifyContextConfig {
    /** Set by a route that orchestrators ask every few seconds: its lines are logged at level debug. */
    quiet?: boolean
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

/** The request's traceparent if it is a valid one, else ''. */
export function traceparent(request: FastifyRequest): string {
  const given = request.headers.traceparent
  return typeof given === 'string' && TRACEPARENT.test(given) ? given : ''
}

/** One log line for each finished request, with all that is known of it, and none when it begins. */
export class RequestLog extends LogController {
  override incomingRequest(): void {}

  override routeNotFound(): void {}

  override defaultErrorLog(): void {}

  override requestCompleted(
    aborted: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply
  ): void {
    const { failure } = request
    const error = aborted ?? (reply.statusCode >= 500 ? failure?.error : undefined)
    const line = {
      method: request.method,
      url: request.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 1000) / 1000,
      client: request.ip,
      order_id: orderId(request),
      trace_id: TRACEPARENT.exec(traceparent(request))?.[1],
      error_id: failure?.id,
      err: error
    }
    if (error) request.log.error(line, 'request failed')
    else if (request.routeOptions.config.quiet) request.log.debug(line, 'request completed')
    else request.log.info(line, 'request completed')
  }
}

/** The order that the request is about, wherever it names it. */
function orderId({ params, body }: FastifyRequest): string | undefined {
  for (const source of [params, body]) {
    if (
      typeof source === 'object' &&
      source !== null &&
      'order_id' in source &&
      typeof source.order_id === 'string'
    ) {
      return source.order_id.slice(0, 100)
    }
  }
  return undefined
}
