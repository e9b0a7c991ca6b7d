import { Type } from 'typebox'
import { anyRoute, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'

const schema = {
  operationId: 'getOpenApi',
  summary: 'Return this document',
  description: 'OpenAPI 3.1. The schemas that validate requests are its source.',
  tags: ['operations'],
  response: {
    200: {
      description: 'OpenAPI 3.1.',
      content: { 'application/json': { schema: Type.Unsafe<string>({ type: 'object' }) } }
    },
    429: retryable('Too many requests.'),
    ...anyRoute,
    503: retryable('The service is overloaded. Try again.')
  }
} as const

/** GET /openapi.json describes every route of this process. */
export default async function openapiRoute(app: App) {
  let document: string | undefined
  app.get('/openapi.json', { schema, config: { scope: 'none' } }, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger())
    return reply.header('content-type', 'application/json; charset=utf-8').send(document)
  })
}
