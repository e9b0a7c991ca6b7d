import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Problem } from '../../schema/http/problem.ts'
import { PROBLEMS, type ProblemKind, type ProblemName, problemType } from '../../schema/http/problem-types.ts'
import { asError } from '../async/as-error.ts'
import {
  InsufficientScope,
  KeyNotFound,
  KeyRefused,
  LookUpsFull,
  ProviderUnavailable,
  Unauthorized
} from '../auth/errors.ts'
import { IdempotencyKeyInUse, IdempotencyKeyReused, InvalidIdempotencyKey } from '../idempotency/errors.ts'
import { BacklogFull } from '../orders/accept/backlog.ts'
import { ReleaseRefused } from '../orders/audit/release.ts'
import { InvalidOrder, OrderConflict, OrderFinal, OrderNotFound, TooManyWaiting } from '../orders/errors.ts'
import { InvalidCursor } from '../orders/list/cursor.ts'
import { UnsupportedFilter } from '../orders/list/select.ts'
import { TaxRateRefused } from '../orders/tax/rate-table.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import { RedriveRefused } from '../streams/dead-letters/redrive.ts'
import { FunctionInUse } from '../streams/operate/forget.ts'
import {
  DeliveryNotFound,
  DnsUnavailable,
  EndpointNotFound,
  EndpointQueueFull,
  EndpointRefused,
  TooManyEndpoints
} from '../webhooks/errors.ts'
import {
  BatchStopped,
  BatchTooLarge,
  BrokenBatch,
  LateBatch,
  NoBatch,
  OrderTooLarge
} from './batch/faults.ts'
import { InvalidJson, RefusedJson } from './body/json-body.ts'
import { prepareRefusal } from './connection/drain-body.ts'
import { endReply } from './connection/pending.ts'
import { problemOf } from './named-problem.ts'
import { publicPath } from './public-url.ts'
import { QuotaExceeded, setQuotaFields } from './rate-limit/quota.ts'
import { routeOf } from './request-context.ts'
import { securityHeaders } from './security-headers.ts'
import { describeFault } from './validation.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a 415 of the route advises; JSON by default. */
    mediaTypeAdvice?: string
  }
}

/** Media type of an error body. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8'

/** The problem of each error class of the domain and of the stores. */
const BY_CLASS = new Map<new (...args: never[]) => Error, ProblemName>([
  [InvalidJson, 'invalid-json'],
  [RefusedJson, 'refused-json'],
  [NoBatch, 'invalid-batch'],
  [BrokenBatch, 'invalid-json'],
  [OrderTooLarge, 'order-too-large'],
  [BatchTooLarge, 'batch-too-large'],
  [BatchStopped, 'batch-stopped'],
  [LateBatch, 'request-timeout'],
  [InvalidOrder, 'invalid-order'],
  [InvalidCursor, 'invalid-cursor'],
  [UnsupportedFilter, 'unsupported-filter'],
  [OrderNotFound, 'order-not-found'],
  [OrderConflict, 'order-conflict'],
  [OrderFinal, 'order-final'],
  [FunctionInUse, 'function-in-use'],
  [ReleaseRefused, 'release-refused'],
  [RedriveRefused, 'letter-refused'],
  [TaxRateRefused, 'tax-rate-refused'],
  [Unauthorized, 'unauthorized'],
  [InsufficientScope, 'insufficient-scope'],
  [KeyNotFound, 'key-not-found'],
  [KeyRefused, 'key-refused'],
  [InvalidIdempotencyKey, 'invalid-idempotency-key'],
  [IdempotencyKeyInUse, 'idempotency-key-in-use'],
  [IdempotencyKeyReused, 'idempotency-key-reused'],
  [EndpointRefused, 'webhook-endpoint-refused'],
  [EndpointNotFound, 'webhook-endpoint-not-found'],
  [DeliveryNotFound, 'webhook-delivery-not-found'],
  [TooManyEndpoints, 'too-many-webhook-endpoints'],
  [EndpointQueueFull, 'webhook-queue-full'],
  [LookUpsFull, 'unavailable'],
  [ProviderUnavailable, 'provider-unavailable'],
  [DnsUnavailable, 'dns-unavailable'],
  [BacklogFull, 'backlog-full'],
  [TooManyWaiting, 'overloaded'],
  [StoreUnavailable, 'unavailable']
])

/** The problems of Fastify's and its plugins' errors, by status. */
const BY_STATUS = new Map<number, ProblemName>([
  [400, 'bad-request'],
  [401, 'unauthorized'],
  [404, 'not-found'],
  [405, 'method-not-allowed'],
  [408, 'request-timeout'],
  [413, 'body-too-large'],
  [415, 'unsupported-media-type'],
  [429, 'too-many-requests'],
  [501, 'not-implemented'],
  [503, 'overloaded']
])

/** The detail of problems whose reason clients must not see. */
const HIDDEN_DETAIL = new Map<ProblemName, string>([
  ['internal', 'The request could not be answered. The log has the reason under this error_id.'],
  [
    'unavailable',
    'A store that is needed for this is unavailable. Try again: the same order is never taken twice.'
  ],
  ['overloaded', 'The service sheds load to stay responsive. Nothing was changed; try again.']
])

/** Advice for mistakes, where Fastify's message gives no advice. */
const ADVICE = new Map<ProblemName, (request: FastifyRequest) => string>([
  [
    'unsupported-media-type',
    request =>
      routeOf(request).config.mediaTypeAdvice ??
      'Send the body as JSON, with the header Content-Type: application/json.'
  ],
  ['body-too-large', request => `The body may have at most ${routeOf(request).bodyLimit} bytes.`]
])

/** The names of the parts of a request. The keys are Fastify's names, and `order` for an order of a batch. */
const PARTS: Record<string, string> = {
  body: 'body',
  order: 'order',
  params: 'path',
  querystring: 'query',
  headers: 'head'
}

function nameOf(error: Error): ProblemName {
  for (const [type, name] of BY_CLASS) if (error instanceof type) return name
  if (error instanceof QuotaExceeded)
    return error.quota.policy === 'caller' ? 'quota-exceeded' : 'too-many-requests'
  const named = problemOf(error)
  if (named !== undefined) return named
  const { validation, statusCode: status = 500 } = error as FastifyError
  if (validation) return 'validation-failed'
  // @fastify/static answers with other 4xx statuses for the pages.
  return BY_STATUS.get(status) ?? (status >= 400 && status < 500 ? 'refused' : 'internal')
}

function kindOf(name: ProblemName, error: Error): Required<Pick<ProblemKind, 'status'>> & ProblemKind {
  const kind: ProblemKind = PROBLEMS[name]
  if (kind.status !== undefined) return { ...kind, status: kind.status }
  const { statusCode: status = 400 } = error as FastifyError
  return { status, title: STATUS_CODES[status] ?? kind.title }
}

function toProblem(
  error: Error,
  name: ProblemName,
  { status, title }: ProblemKind & { status: number },
  request: FastifyRequest,
  errorId: string
): Problem {
  const { validation, validationContext } = error as FastifyError
  return {
    type: problemType(name),
    title,
    status,
    detail: validation
      ? mismatch(validationContext, request)
      : (HIDDEN_DETAIL.get(name) ?? ADVICE.get(name)?.(request) ?? error.message),
    instance: publicPath(request.server.config) + (request.url.split('?', 1)[0]?.slice(0, 500) ?? '/'),
    error_id: errorId,
    ...(error instanceof QuotaExceeded && { 'violated-policies': [error.quota.policy] }),
    ...(validation && { errors: validation.map(describeFault) }),
    ...((error instanceof RefusedJson ||
      error instanceof InvalidOrder ||
      error instanceof UnsupportedFilter) && {
      errors: error.faults
    })
  }
}

function mismatch(part: string | undefined, { body }: FastifyRequest): string {
  if (part === 'body' && body === undefined) return 'The request has no body, and its schema requires one.'
  return `The ${PARTS[part ?? ''] ?? 'request'} does not match its schema.`
}

/** What a thrown error means for the client. */
export interface Explanation {
  error: Error
  problem: Problem
  /** The number of seconds after which the client may try again. */
  retryAfter: number | undefined
}

/**
 * Returns the problem that a thrown error becomes (RFC 9457), without internal details. `idOf` returns the id of the
 * problem.
 */
export function explain(
  thrown: unknown,
  request: FastifyRequest,
  idOf: (name: ProblemName) => string = () => randomUUID()
): Explanation {
  const error: FastifyError | Error = asError(thrown)
  if (error !== thrown)
    Object.assign(error, { statusCode: (thrown as FastifyError | null | undefined)?.statusCode })
  const name = nameOf(error)
  const kind = kindOf(name, error)
  return {
    error,
    problem: toProblem(error, name, kind, request, idOf(name)),
    retryAfter: error instanceof BacklogFull ? error.retryAfter : kind.retryAfter
  }
}

/** Answers with the problem that an error becomes. The answer and the log line of the request have its id. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { error, problem, retryAfter } = explain(thrown, request)
  request.failure = { id: problem.error_id, error }
  prepareRefusal(request, reply)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (error instanceof QuotaExceeded) setQuotaFields(reply, { ...error.quota, left: 0 })
  return reply.code(problem.status).header('content-type', PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem))
}

/** Refuses a URL that the router cannot read. No hook runs then, so this function does the work of the hooks. */
export function refuseUrl(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(securityHeaders(request.server.config)).header('x-request-id', request.id)
  reply.raw.once('finish', () => endReply(reply))
  sendProblem(error, request, reply)
  const { method, url, ip: client, failure } = request
  request.log.info(
    { method, url, status: reply.statusCode, client, error_id: failure?.id },
    'request unreadable'
  )
}
