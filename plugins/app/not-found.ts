import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { asProblem } from '../../src/http/named-problem.ts'
import { sendProblem } from '../../src/http/problem.ts'

/** Refuses a request without a route: 405 with the methods of its path, or 404. */
async function notFound(app: FastifyInstance) {
  const { httpErrors } = app
  const noRoute = (method: string, path: string | undefined) =>
    asProblem('route-not-found', httpErrors.notFound(`${method} ${path} is not served here.`))
  const refuse = ({ method, url }: FastifyRequest, reply: FastifyReply) => {
    const path = url.split('?', 1)[0] as string
    const allowed = app.supportedMethods.filter(each => app.findRoute({ method: each, url: path }) !== null)
    if (allowed.length === 0) return noRoute(method, path)
    reply.header('allow', allowed.join(', '))
    return httpErrors.methodNotAllowed(
      `${path} is not served with ${method}, but with ${allowed.join(', ')}.`
    )
  }

  // Runs before the body is read, because a faulty body must not hide the 404.
  app.addHook('onRequest', (request, reply, done) => {
    done(request.is404 ? refuse(request, reply) : undefined)
  })
  // For routes that find nothing themselves, such as the routes of the pages.
  app.setNotFoundHandler((request, reply) =>
    sendProblem(noRoute(request.method, request.url.split('?', 1)[0]), request, reply)
  )
}

// After the plugins that limit the load, because a request without a route counts as well.
export default fp(notFound, {
  name: 'not-found',
  dependencies: ['@fastify/sensible', 'rate-limit', 'load-shedding', 'errors']
})
