import { type Static, type TSchema, Type } from 'typebox'
import { Problem } from './problem.ts'
import { ref } from './ref.ts'

interface Shape {
  description: string
  /** A sentence for each header. */
  headers?: Record<string, string>
  /** `application/json` by default. */
  mediaType?: string
}

/**
 * A response of one media type, as Fastify and OpenAPI take it. `Payload` is what a handler sends: the schema's own
 * type, unless it sends JSON text that is ready.
 */
export function response<T extends TSchema, Payload = Static<T>>(schema: T, shape: Shape) {
  const { description, headers = {}, mediaType = 'application/json' } = shape
  return {
    description,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, meaning]) => [name, Type.String({ description: meaning })])
    ),
    content: { [mediaType]: { schema: Type.Unsafe<Payload>(ref(schema)) } }
  }
}

/** A response whose handler sends the JSON text itself, ready as it is stored. */
export function rendered<T extends TSchema>(schema: T, shape: Shape) {
  return response<T, string>(schema, shape)
}

/** An error response, after RFC 9457. */
export function problem(description: string, headers: Record<string, string> = {}) {
  return response(Problem, { description, headers, mediaType: 'application/problem+json' })
}

/** An error response that says when to try again. */
export function retryable(description: string) {
  return problem(description, { 'Retry-After': 'Seconds after which another try makes sense.' })
}

/** Errors that any route may answer. */
export const anyRoute = {
  400: problem('The request is not valid.'),
  408: problem('The request took too long to arrive.'),
  431: problem('The request headers are too large.'),
  500: problem('Something went wrong here; the log has the reason under the error_id.'),
  501: problem('The request has a Transfer-Encoding that the service does not know.')
}
