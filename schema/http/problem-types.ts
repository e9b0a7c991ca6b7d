/** A kind of problem. */
export interface ProblemKind {
  /** The HTTP status; undefined if problems of this kind have different statuses. */
  status?: number
  title: string
  /** The number of seconds after which the client may try again. */
  retryAfter?: number
}

/**
 * Every kind of problem that the service returns, by the last part of its `type`. Clients may depend on these names.
 */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'The request is not valid' },
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'refused-json': { status: 400, title: 'The JSON of the body is refused' },
  'invalid-batch': { status: 400, title: 'The body is not a batch of orders' },
  'validation-failed': { status: 400, title: 'The request does not match its schema' },
  'invalid-order': { status: 400, title: 'The order is not valid' },
  'invalid-cursor': { status: 400, title: 'The cursor is not of this list' },
  'unsupported-filter': { status: 400, title: 'The list cannot be filtered so' },
  'invalid-idempotency-key': { status: 400, title: 'The Idempotency-Key is not valid' },
  'webhook-endpoint-refused': { status: 400, title: 'Webhooks cannot be sent to that URL' },
  'invalid-host': { status: 400, title: 'The Host header is not valid' },
  'invalid-transfer-encoding': { status: 400, title: 'The Transfer-Encoding is not valid' },
  unauthorized: { status: 401, title: 'The credentials are missing or wrong' },
  'insufficient-scope': { status: 403, title: 'The key lacks the scope' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'route-not-found': { status: 404, title: 'There is no such route' },
  'order-not-found': { status: 404, title: 'There is no such order' },
  'dead-letter-not-found': { status: 404, title: 'There is no such dead letter' },
  'key-not-found': { status: 404, title: 'There is no such key' },
  'function-not-found': { status: 404, title: 'There is no such function' },
  'webhook-endpoint-not-found': { status: 404, title: 'There is no such webhook endpoint' },
  'webhook-delivery-not-found': { status: 404, title: 'There is no such webhook delivery' },
  'method-not-allowed': { status: 405, title: 'The method is not served here' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'key-refused': { status: 409, title: 'The key cannot be created or rotated so' },
  'order-conflict': { status: 409, title: 'The order exists with another body' },
  'order-final': { status: 409, title: 'The order is final' },
  'function-in-use': { status: 409, title: 'The function is in use' },
  'release-refused': { status: 409, title: 'The keys cannot be released now' },
  'letter-refused': { status: 409, title: 'The letter cannot be redriven' },
  'tax-rate-refused': { status: 409, title: 'The tax rate cannot begin at that time' },
  'no-loss': { status: 409, title: 'There is no loss to acknowledge' },
  'idempotency-key-in-use': { status: 409, title: 'A request with the key is in progress', retryAfter: 1 },
  'too-many-webhook-endpoints': { status: 409, title: 'The tenant has too many webhook endpoints' },
  'webhook-queue-full': { status: 409, title: 'Too many deliveries wait for the webhook endpoint' },
  'body-too-large': { status: 413, title: 'The request body is too large' },
  'order-too-large': { status: 413, title: 'The order is too large' },
  'batch-too-large': { status: 413, title: 'The batch has too many orders' },
  'unsupported-media-type': { status: 415, title: 'The media type is not supported' },
  'unsupported-content-coding': { status: 415, title: 'The content coding is not supported' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key belongs to another request' },
  'quota-exceeded': { status: 429, title: 'The quota of the caller is exceeded', retryAfter: 1 },
  'too-many-requests': { status: 429, title: 'Too many requests', retryAfter: 1 },
  internal: { status: 500, title: 'Something went wrong here' },
  'not-implemented': { status: 501, title: 'The service does not implement this' },
  'provider-unavailable': {
    status: 503,
    title: 'The OpenID provider is unavailable',
    retryAfter: 5
  },
  'dns-unavailable': { status: 503, title: 'The DNS does not answer', retryAfter: 5 },
  unavailable: { status: 503, title: 'The service cannot do this now', retryAfter: 1 },
  'backlog-full': { status: 503, title: 'Too many orders are waiting' },
  'batch-stopped': { status: 503, title: 'The service stops in the middle of the batch', retryAfter: 1 },
  overloaded: { status: 503, title: 'The service is overloaded', retryAfter: 1 },
  unreadable: { title: 'The request is not HTTP that the service can read' },
  refused: { title: 'The request is refused' }
} as const satisfies Record<string, ProblemKind>

/** The last part of a problem's `type`. */
export type ProblemName = keyof typeof PROBLEMS

const PREFIX = 'urn:orderstream:problem:'

/** Returns the `type` of a problem: a URI that does not change between releases. */
export function problemType(name: ProblemName): string {
  return PREFIX + name
}

/** The description of `type` in the OpenAPI document. */
export const TYPE_DESCRIPTION = `Names the kind of problem. It stays the same, so use it to distinguish problems. One of ${Object.keys(
  PROBLEMS
)
  .map(name => `\`${name}\``)
  .join(', ')} after \`${PREFIX}\`. Further kinds may follow.`
