import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { securityHeaders } from '../src/security-headers.ts'

/** RFC 9112, section 3.2. Node.js would answer it itself, without a word. */
function hostMissing({ raw }: FastifyRequest): Error | undefined {
  if (raw.headers.host !== undefined || raw.httpVersion !== '1.1') return undefined
  return Object.assign(new Error('Send a Host header: HTTP/1.1 wants one.'), { statusCode: 400 })
}

/** Gives every answer the security headers and the id of its request, and refuses what names no host. */
async function security(app: FastifyInstance) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(securityHeaders).header('x-request-id', request.id)
    done(hostMissing(request))
  })
}

export default fp(security, { name: 'security' })
