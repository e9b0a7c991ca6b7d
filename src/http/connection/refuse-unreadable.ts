import { randomUUID } from 'node:crypto'
import { type IncomingMessage, maxHeaderSize, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Problem } from '../../../schema/http/problem.ts'
import { problemType } from '../../../schema/http/problem-types.ts'
import { PROBLEM_MEDIA_TYPE } from '../problem.ts'
import { routeOf } from '../request-context.ts'
import { isClosing, linger, markClosing } from './drain-body.ts'
import { isAnswered, pendingReplies, sent } from './pending.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A route sets it when its handler limits itself how long a request may take to arrive. */
    ownTimeout?: boolean
  }
}

/** An error of the parser, of its timeouts, or of the connection. */
type ClientError = NodeJS.ErrnoException & { bytesParsed?: number; rawPacket?: Buffer }

/** The status and the detail of a refusal. */
type Reason = [status: 400 | 408 | 431 | 501, detail: string]

/**
 * The most headers that Node.js reads. A request with more headers causes the same error code as headers that are too
 * long.
 */
const MOST_HEADERS = 1000

/** The code of a request that takes too long to arrive. Node.js reports each request once. */
const TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT'

/** The status and the detail for input that cannot be read as HTTP, by the error code of the parser. */
const UNREADABLE = new Map<string | undefined, Reason>([
  [TIMEOUT, [408, 'The request had not arrived in full when its time was up.']],
  [
    'HPE_HEADER_OVERFLOW',
    [
      431,
      `The URL and the headers together are longer than ${maxHeaderSize / 1024} KiB, or there are more than ${MOST_HEADERS} headers.`
    ]
  ]
])
const NO_HTTP: Reason = [400, 'What arrived is not a complete HTTP/1.1 request.']
const NO_METHOD: Reason = [501, 'The service does not know this method.']
const NO_TUNNEL: Reason = [501, 'The service is not a proxy: it does not serve CONNECT.']

/** The rest of a request line, from the byte at which the parser refuses an unknown method. */
const UNKNOWN_METHOD = /^(?:[\w!#$%&'*+.^`|~-]* \S+ HTTP)?\/1\.[01]\r?\n/

/** Methods whose handlers do not wait for a body. */
const BODYLESS = new Set(['GET', 'HEAD'])

/**
 * Refuses input that cannot be read as HTTP. Earlier requests on the same connection are answered first (RFC 9112,
 * section 9.3.2). The connection closes after the refusal.
 */
export function refuseUnreadable(this: FastifyInstance, thrown: Error, socket: Socket): void {
  const error: ClientError = thrown
  if (error.syscall !== undefined || error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  // The parser fails again with all further input.
  if (isClosing(socket)) return
  const replies = pendingReplies(socket)
  const last = replies.at(-1)
  const arriving = last?.request.raw.complete === false ? last : undefined
  if (error.code === TIMEOUT && arriving && routeOf(arriving.request).config.ownTimeout) return
  markClosing(socket)
  const reason = reasonOf(error)
  // The reply of the broken request is still waiting for the body. It becomes the refusal.
  if (arriving && !arriving.sent && !BODYLESS.has(arriving.request.method))
    arriving.send(this.httpErrors.getHttpError(reason[0], reason[1]))
  const answered = arriving !== undefined || isAnswered(socket)
  void sent(replies).then(() => {
    if (!answered && socket.writable) writeRefusal(this.log, socket, reason, error.code)
    linger(socket)
  })
}

/** Refuses CONNECT after the answers to earlier requests. Node.js passes only a socket for this method. */
export function refuseConnect(log: FastifyBaseLogger, request: IncomingMessage, socket: Socket): void {
  markClosing(socket)
  socket.on('error', () => socket.destroy())
  void sent(pendingReplies(socket)).then(() => {
    if (socket.writable) writeRefusal(log, socket, NO_TUNNEL, request.method)
    linger(socket)
  })
}

function reasonOf({ code, rawPacket, bytesParsed }: ClientError): Reason {
  const refused = code === 'HPE_INVALID_METHOD' || code === 'HPE_INVALID_CONSTANT'
  if (refused && UNKNOWN_METHOD.test(rawPacket?.toString('latin1', bytesParsed) ?? '')) return NO_METHOD
  return UNREADABLE.get(code) ?? NO_HTTP
}

/** Writes a refusal to the socket and to the log, because an unreadable request has no reply. */
function writeRefusal(log: FastifyBaseLogger, socket: Socket, [status, detail]: Reason, code?: string): void {
  const error_id = randomUUID()
  log.info({ error_id, status, code, client: socket.remoteAddress }, 'request unreadable')
  const problem: Problem = {
    type: problemType('unreadable'),
    title: STATUS_CODES[status] ?? 'Bad Request',
    status,
    detail,
    instance: '/',
    error_id
  }
  const body = JSON.stringify(problem)
  socket.write(
    `HTTP/1.1 ${status} ${problem.title}\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  )
}
