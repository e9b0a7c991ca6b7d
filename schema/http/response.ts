import { type Static, type TSchema, Type } from 'typebox'
import { Problem } from './problem.ts'
import { ref } from './ref.ts'

/** The properties of a response that are not in its schema. */
interface Shape {
  description: string
  /** A description of each header. */
  headers?: Record<string, string>
  /** `application/json` by default. */
  mediaType?: string
}

/**
 * Describes a response of one media type, in the form that Fastify and OpenAPI need. `Payload` is the type that the
 * handler sends: the type of the schema, or JSON text.
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

/** Describes a response whose handler sends JSON text. */
export function rendered<T extends TSchema>(schema: T, shape: Shape) {
  return response<T, string>(schema, shape)
}

/** Describes an error response (RFC 9457). */
export function problem(description: string, headers: Record<string, string> = {}) {
  return response(Problem, { description, headers, mediaType: 'application/problem+json' })
}

/** Describes an error response with a `Retry-After` header. */
export function retryable(description: string) {
  return problem(description, { 'Retry-After': 'Seconds to wait before the next attempt.' })
}

/** The errors that any route may return. */
export const anyRoute = {
  400: problem('The request is not valid.'),
  408: problem('The request took too long to arrive.'),
  431: problem('The request headers are too large.'),
  500: problem('The service failed. The log has the reason under the error_id.'),
  501: problem('The request has a Transfer-Encoding that the service does not know.')
}
