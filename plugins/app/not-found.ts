import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { sendProblem } from '../../src/http/problem.ts'

/** Answers what has no route: 405 with the methods that its path has, or 404. */
async function notFound(app: FastifyInstance) {
  const fault = ({ method, url }: FastifyRequest, reply: FastifyReply) => {
    const path = url.split('?', 1)[0] as string
    const allowed = app.supportedMethods.filter(each => app.findRoute({ method: each, url: path }) !== null)
    if (allowed.length === 0)
      return Object.assign(new Error(`${method} ${path} is not served here.`), { statusCode: 404 })
    reply.header('allow', allowed.join(', '))
    const detail = `${path} is not served with ${method}, but with ${allowed.join(', ')}.`
    return Object.assign(new Error(detail), { statusCode: 405 })
  }

  // A body is not read before the answer, or it could be refused for what it is.
  app.addHook('onRequest', (request, reply, done) => {
    done(request.is404 ? fault(request, reply) : undefined)
  })
  // For routes that find nothing themselves.
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]
    const error = Object.assign(new Error(`${request.method} ${path} is not served here.`), {
      statusCode: 404
    })
    return sendProblem(error, request, reply)
  })
}

// After those that limit and shed: it counts as any other request.
export default fp(notFound, { name: 'not-found', dependencies: ['rate-limit', 'load-shedding', 'errors'] })
