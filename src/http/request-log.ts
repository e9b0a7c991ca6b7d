import type { Socket } from 'node:net'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { isoNow } from '../async/clock.ts'
import { beginReply, endReply } from './connection/pending.ts'
import { routeOf, traceId } from './request-context.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that this request is answered with, for its log line. */
    failure: { id: string; error: Error } | null
    /** What became of the orders of this request, if it is a batch, for its log line. */
    batch: Record<'accepted' | 'replayed' | 'refused', number> | null
  }
  interface FastifyContextConfig {
    /** A route sets it when orchestrators call the route every few seconds. Its lines then have the level debug. */
    quiet?: boolean
  }
}

/** The dependencies of the request log. */
export interface RequestLogOptions {
  requestIdLogLabel: string
  /** The fields of every line of this process. */
  base: Record<string, unknown>
  /** Writes a rendered line of level info; undefined when the log level excludes it. */
  write: ((line: string) => void) | undefined
}

/**
 * Logs one line for each request when the request is finished, and no line when it begins. A request whose client
 * disconnects before the answer has a line, too, because it may have accepted an order. Fastify does not report such
 * requests, so they are found when the connection closes. A listener for each request would slow down every request.
 */
export class RequestLog extends LogController {
  readonly #write: RequestLogOptions['write']
  readonly #base: string

  constructor({ requestIdLogLabel, base, write }: RequestLogOptions) {
    super({ requestIdLogLabel })
    this.#write = write
    this.#base = JSON.stringify(base).slice(1, -1)
  }

  override incomingRequest(request: FastifyRequest, reply: FastifyReply): void {
    const replies = beginReply(reply)
    if (replies) this.#watch(request.raw.socket, replies)
  }

  override routeNotFound(): void {}

  override defaultErrorLog(): void {}

  override streamError(error: Error, request: FastifyRequest, reply: FastifyReply): void {
    // The line of `#watch` reports a client that is gone.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE')
      super.streamError(error, request, reply)
  }

  override requestCompleted(
    aborted: Error | null | undefined,
    request: FastifyRequest,
    reply: FastifyReply
  ): void {
    endReply(reply)
    const error = aborted ?? (reply.statusCode >= 500 ? request.failure?.error : undefined)
    const { log } = request.server
    if (error) log.error({ ...facts(request, reply), err: error }, 'request failed')
    else if (routeOf(request).config.quiet) log.debug(facts(request, reply), 'request completed')
    else this.#write?.(this.#render(facts(request, reply)))
  }

  #watch(socket: Socket, replies: ReadonlySet<FastifyReply>): void {
    socket.once('close', () => {
      for (const reply of replies) {
        if (reply.raw.writableFinished) continue
        const known = facts(reply.request, reply)
        // The status is unknown before the headers are sent. Without this check it would be 200.
        const status = reply.raw.headersSent ? known.status : undefined
        reply.server.log.info({ ...known, status }, 'client gone before its answer')
      }
    })
  }

  /** Renders the line that the logger would write, at a third of the cost: every request has one. */
  #render(fields: ReturnType<typeof facts>): string {
    const rest = JSON.stringify(fields).slice(1)
    return `{"level":30,"time":"${isoNow()}",${this.#base},"msg":"request completed",${rest}\n`
  }
}

/** Returns the known facts about a request. The other fields are undefined. */
function facts(request: FastifyRequest, reply: FastifyReply) {
  return {
    request_id: request.id,
    method: request.method,
    url: request.url,
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 1000) / 1000,
    client: request.ip,
    order_id: orderId(request),
    batch: request.batch ?? undefined,
    trace_id: traceId(request),
    error_id: request.failure?.id
  }
}

/** Returns the id of the order that a request is about, from its path or its body. */
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
