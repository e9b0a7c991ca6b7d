import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { sendProblem } from '../src/problem.ts'

/** The one place where errors become answers. */
async function errors(app: FastifyInstance) {
  app.decorateRequest('failure', null)
  app.setErrorHandler<unknown>(sendProblem)
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]
    return sendProblem(
      Object.assign(new Error(`${request.method} ${path} is not served here.`), { statusCode: 404 }),
      request,
      reply
    )
  })
}

export default fp(errors, { name: 'errors' })
