import type { Order, Problem } from './types.ts'

/** What is known about an error besides its message. */
export interface ErrorFacts {
  code: string
  status?: number | undefined
  problem?: Problem | undefined
  /** The time to wait before the next attempt (ms). */
  retryAfter?: number | undefined
  cause?: unknown
}

/** The error of every call that fails for another reason than its signal. */
export class OrderstreamError extends Error {
  override readonly name: string = 'OrderstreamError'
  /**
   * What went wrong, for programs. For an answer of the service, the last part of the type of its problem, such as
   * `order-conflict`. `http-<status>` for an answer without a problem, for example of a proxy. `invalid-answer` for an
   * answer that is not JSON. The subclasses have codes of their own.
   */
  readonly code: string
  /** The HTTP status; undefined without an answer. */
  readonly status: number | undefined
  /** The problem that the service answered; undefined without one. */
  readonly problem: Problem | undefined
  /** The id of the error, which the log of the service has, too. */
  readonly error_id: string | undefined
  /** The time after which the service wants the next attempt (ms); undefined when it named none. */
  readonly retryAfter: number | undefined

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = facts.code
    this.status = facts.status
    this.problem = facts.problem
    this.error_id = facts.problem?.error_id
    this.retryAfter = facts.retryAfter
  }
}

/** The service did not answer, or the answer broke off. `cause` has the reason, and `code` is `connection-failed`. */
export class ConnectionError extends OrderstreamError {
  override readonly name = 'ConnectionError'

  constructor(message: string, cause?: unknown) {
    super(message, { code: 'connection-failed', cause })
  }
}

/** The order was not final in time. `code` is `wait-timeout`. */
export class WaitTimeoutError extends OrderstreamError {
  override readonly name = 'WaitTimeoutError'
  /** The order as it was read last; undefined when it could not be read. */
  readonly order: Order | undefined

  constructor(message: string, order: Order | undefined) {
    super(message, { code: 'wait-timeout' })
    this.order = order
  }
}

/** What is wrong with a webhook. */
export type WebhookFault =
  | 'webhook-headers'
  | 'webhook-too-old'
  | 'webhook-too-new'
  | 'webhook-signature'
  | 'webhook-body'

/** A webhook is not from the service, or not for now. Answer 401 to its sender. */
export class WebhookError extends OrderstreamError {
  override readonly name = 'WebhookError'
  declare readonly code: WebhookFault

  constructor(code: WebhookFault, message: string, cause?: unknown) {
    super(message, { code, cause })
  }
}

/** Makes the error of an answer that is not a success. Reads its body. */
export async function errorOfAnswer(response: Response): Promise<OrderstreamError> {
  const { status, headers } = response
  const retryAfter = readRetryAfter(headers.get('retry-after'))
  const text = await response.text()
  const problem = headers.get('content-type')?.startsWith('application/problem+json')
    ? parseProblem(text)
    : undefined
  if (problem) return errorOfProblem(problem, retryAfter)
  return new OrderstreamError(`The answer has the status ${status}.`, {
    code: `http-${status}`,
    status,
    retryAfter
  })
}

/** Makes the error of a problem. `retryAfter` is the time that the header of the answer names (ms). */
export function errorOfProblem(problem: Problem, retryAfter?: number): OrderstreamError {
  return new OrderstreamError(`${problem.title} ${problem.detail}`, {
    code: problem.type.slice(problem.type.lastIndexOf(':') + 1),
    status: problem.status,
    problem,
    retryAfter: retryAfter ?? (problem.retry_after === undefined ? undefined : problem.retry_after * 1000)
  })
}

/** Returns the time that a header `Retry-After` names (ms): seconds or a date. Returns undefined without a valid one. */
export function readRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

function parseProblem(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value?.type === 'string' && typeof value.status === 'number' ? value : undefined
  } catch {
    return undefined
  }
}
