import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { sendProblem } from '../../src/http/problem.ts'

/** Answers errors as problems (RFC 9457). */
async function errors(app: FastifyInstance) {
  app.decorateRequest('failure', null)
  app.setErrorHandler<unknown>(sendProblem)
}

export default fp(errors, { name: 'errors' })
