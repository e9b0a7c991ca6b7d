import type { FastifySchema, RouteOptions } from 'fastify'
import type { Scope } from '../../schema/http/key.ts'
import { problem, retryable } from '../../schema/http/response.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller needs for this route; `none` for a route that is open to all. Every route declares it. */
    scope?: Scope | 'none'
  }
}

const REFUSALS = {
  401: problem('The bearer token is missing or invalid.', { 'WWW-Authenticate': 'Always `Bearer`.' }),
  403: problem('The key lacks the scope of this route.'),
  503: retryable('A store that is needed to check the key is unavailable. Try again.')
}

/** Adds to the schema of a route what its scope means for OpenAPI. `optional`: a caller without a key has the scope, too. */
export function describeAccess(route: RouteOptions, optional: boolean): void {
  const { scope } = route.config ?? {}
  if (scope === undefined || scope === 'none' || !route.schema) return
  const anyone = optional && scope !== 'admin' && scope !== 'admin:read'
  const described: FastifySchema & { 'x-scope': Scope } = {
    ...route.schema,
    security: anyone ? [{ bearer: [] }, {}] : [{ bearer: [] }],
    // OpenAPI names scopes only for OAuth, so the scope is an extension and a part of the description.
    'x-scope': scope,
    description: [route.schema.description, `Scope: \`${scope}\`.`].filter(Boolean).join('\n\n'),
    response: { ...REFUSALS, ...(route.schema.response as object | undefined) }
  }
  route.schema = described
}
