import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createHeadCheck } from '../../src/http/connection/check-head.ts'
import { securityHeaders } from '../../src/http/security-headers.ts'

/** Adds the security headers and the request id to every answer. Refuses an invalid head. */
async function security(app: FastifyInstance) {
  const headers = securityHeaders(app.config)
  const checkHead = createHeadCheck()
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(headers).header('x-request-id', request.id)
    done(checkHead(request, reply))
  })
}

export default fp(security, { name: 'security' })
