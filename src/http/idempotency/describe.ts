import type { RouteOptions } from 'fastify'
import { Type } from 'typebox'
import { IdempotencyHeader } from '../../../schema/http/idempotency-key.ts'
import { problem, retryable } from '../../../schema/http/response.ts'

/** The setting of a route whose requests may have an Idempotency-Key. */
export type IdempotencySetting = true | { without: readonly string[] }

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Set on a POST route without a natural key: a request with the header Idempotency-Key runs once. The answers must
     * be text, such as JSON. `without` names the top-level fields of an answer that are secret. They are never stored,
     * so a replay does not have them, and they must be optional in the schema of the answer.
     */
    idempotencyKey?: IdempotencySetting
  }
}

/** A response in the schema of a route. A response that `response` has made has `content`. */
interface Response {
  description?: string
  headers?: object
  content?: object
}

/** The schema of the headers of a request. */
interface Fields {
  properties?: object
}

const REPLAYED = Type.String({
  description: '`true` when this is the answer to an earlier request with the same Idempotency-Key.'
})

const IN_USE = 'A request with this Idempotency-Key is in progress.'

/** Adds the header Idempotency-Key and its answers to the schema of a route, for OpenAPI and for validation. */
export function describeIdempotency(route: RouteOptions): void {
  if (!route.schema) return
  const { headers, response, ...rest } = route.schema as { headers?: Fields; response?: object }
  const responses: Record<string, Response> = {}
  for (const [status, each] of Object.entries<Response>({ ...response }))
    responses[status] = status.startsWith('2') && each.content ? withReplayed(each) : each
  route.schema = {
    ...rest,
    headers: {
      ...IdempotencyHeader,
      ...headers,
      properties: { ...headers?.properties, ...IdempotencyHeader.properties }
    },
    response: {
      ...responses,
      409: conflictOf(responses[409]),
      422: problem('This Idempotency-Key was used for another request.')
    }
  }
}

/** Returns the response 409 of a route, which may have one of its own. */
function conflictOf(own: Response | undefined): Response {
  const { headers, ...shape } = retryable([own?.description, IN_USE].filter(Boolean).join(' '))
  return { ...shape, headers: { ...own?.headers, ...headers } }
}

function withReplayed(response: Response): Response {
  return { ...response, headers: { ...response.headers, 'Idempotent-Replayed': REPLAYED } }
}
