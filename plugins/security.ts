import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { securityHeaders } from '../src/security-headers.ts'

/** Gives every answer the security headers and the id of its request. */
async function security(app: FastifyInstance) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(securityHeaders).header('x-request-id', request.id)
    done()
  })
}

export default fp(security, { name: 'security' })
