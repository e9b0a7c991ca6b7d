import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Problem } from '../../schema/http/problem.ts'
import { asError } from '../async/as-error.ts'
import { BacklogFull } from '../orders/accept/backlog.ts'
import { OrderConflict, OrderNotFound } from '../orders/errors.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import { LetterRefused } from '../streams/dead-letters/dead-letters.ts'
import { FunctionInUse } from '../streams/operate/forget.ts'
import { ContentCodingUnsupported } from './connection/check-head.ts'
import { prepareRefusal } from './connection/drain-body.ts'
import { endReply } from './connection/pending.ts'
import { RefusedJson } from './json-body.ts'
import { publicPath } from './public-url.ts'
import { routeOf } from './request-context.ts'
import { securityHeaders } from './security-headers.ts'
import { describeFault } from './validation.ts'

/** Media type of an error body. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8'

interface Kind {
  status: number
  /** Last part of the problem's `type`. */
  type: string
  title: string
  /** Seconds after which another try makes sense. */
  retryAfter?: number
}

/** Errors of the domain and of the stores. What is not listed is the framework's, or a bug. */
const KINDS = new Map<new (...args: never[]) => Error, Kind>([
  [RefusedJson, { status: 400, type: 'refused-json', title: 'The JSON of the body is refused' }],
  [OrderConflict, { status: 409, type: 'order-conflict', title: 'The order exists with another body' }],
  [FunctionInUse, { status: 409, type: 'function-in-use', title: 'The function is in use' }],
  [LetterRefused, { status: 409, type: 'letter-refused', title: 'The letter cannot be redriven' }],
  [OrderNotFound, { status: 404, type: 'order-not-found', title: 'There is no such order' }],
  [
    ContentCodingUnsupported,
    { status: 415, type: 'unsupported-content-coding', title: 'The content coding is not supported' }
  ],
  [BacklogFull, { status: 503, type: 'backlog-full', title: 'Too many orders are waiting' }],
  [
    StoreUnavailable,
    { status: 503, type: 'unavailable', title: 'The service cannot do this now', retryAfter: 1 }
  ]
])

/** Errors that the framework and its plugins raise, by status. */
const BY_STATUS = new Map<number, Omit<Kind, 'status'>>([
  [400, { type: 'bad-request', title: 'The request is not valid' }],
  [401, { type: 'unauthorized', title: 'The credentials are missing or wrong' }],
  [404, { type: 'not-found', title: 'There is no such thing' }],
  [405, { type: 'method-not-allowed', title: 'The method is not served here' }],
  [408, { type: 'request-timeout', title: 'The request took too long to arrive' }],
  [413, { type: 'body-too-large', title: 'The request body is too large' }],
  [415, { type: 'unsupported-media-type', title: 'The media type is not supported' }],
  [429, { type: 'too-many-requests', title: 'Too many requests' }],
  [501, { type: 'not-implemented', title: 'The service does not implement this' }],
  [503, { type: 'overloaded', title: 'The service is overloaded' }]
])

const INVALID: Kind = {
  status: 400,
  type: 'validation-failed',
  title: 'The request does not match its schema'
}
const BUG: Kind = { status: 500, type: 'internal', title: 'Something went wrong here' }

/** What a client is told when the reason is none of its business. */
const HIDDEN_DETAIL = new Map<string, string>([
  ['internal', 'The request could not be answered. The log has the reason under this error_id.'],
  ['unavailable', 'A store that is needed for this is away. Try again: the same order is never taken twice.'],
  ['overloaded', 'The service sheds load to stay responsive. Nothing was changed; try again.']
])

/** What to do about a mistake that the framework only names. */
const ADVICE = new Map<string, (request: FastifyRequest) => string>([
  ['unsupported-media-type', () => 'Send the body as JSON, with the header Content-Type: application/json.'],
  ['body-too-large', request => `The body may have at most ${routeOf(request).bodyLimit} bytes.`]
])

/** What clients call the parts of a request, by the framework's words. */
const PARTS: Record<string, string> = { body: 'body', params: 'path', querystring: 'query', headers: 'head' }

function kindOf(error: Error): Kind {
  for (const [type, kind] of KINDS) if (error instanceof type) return kind
  if ((error as FastifyError).validation) return INVALID
  const status = (error as FastifyError).statusCode
  if (status === undefined) return BUG
  const framework = BY_STATUS.get(status)
  if (framework) return { status, ...framework }
  // Another status of a client's mistake, as @fastify/static has them for the pages.
  return status >= 400 && status < 500
    ? { status, type: 'refused', title: STATUS_CODES[status] ?? 'The request is refused' }
    : BUG
}

/** The problem that an error becomes, after RFC 9457. Nothing internal goes into it. */
function toProblem(error: Error, kind: Kind, request: FastifyRequest, errorId: string): Problem {
  const { validation, validationContext } = error as FastifyError
  return {
    type: `urn:orderstream:problem:${kind.type}`,
    title: kind.title,
    status: kind.status,
    detail: validation
      ? mismatch(validationContext, request)
      : (HIDDEN_DETAIL.get(kind.type) ?? ADVICE.get(kind.type)?.(request) ?? error.message),
    instance: publicPath(request.server.config) + (request.url.split('?', 1)[0]?.slice(0, 500) ?? '/'),
    error_id: errorId,
    ...(validation && { errors: validation.map(describeFault) }),
    ...(error instanceof RefusedJson && { errors: error.faults })
  }
}

function mismatch(part: string | undefined, { body }: FastifyRequest): string {
  if (part === 'body' && body === undefined) return 'The request has no body, and its schema requires one.'
  return `The ${PARTS[part ?? ''] ?? 'request'} does not match its schema.`
}

/** Answers whatever was thrown; the error's id stands in the answer and in the request's log line. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error: FastifyError | Error = asError(thrown)
  if (error !== thrown)
    Object.assign(error, { statusCode: (thrown as FastifyError | null | undefined)?.statusCode })
  const kind = kindOf(error)
  const id = randomUUID()
  request.failure = { id, error }
  prepareRefusal(request, reply)
  const retryAfter = error instanceof BacklogFull ? error.retryAfter : kind.retryAfter
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  return reply
    .code(kind.status)
    .header('content-type', PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(toProblem(error, kind, request, id)))
}

/** Answers a URL that no route can be looked up for. No hook runs then, so what they do is done here. */
export function refuseUrl(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(securityHeaders).header('x-request-id', request.id)
  reply.raw.once('finish', () => endReply(reply))
  sendProblem(error, request, reply)
  const { method, url, ip: client, failure } = request
  request.log.info(
    { method, url, status: reply.statusCode, client, error_id: failure?.id },
    'request unreadable'
  )
}
