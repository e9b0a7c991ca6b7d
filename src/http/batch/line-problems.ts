import { randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Problem } from '../../../schema/http/problem.ts'
import type { ProblemName } from '../../../schema/http/problem-types.ts'
import { explain } from '../problem.ts'

/**
 * Makes the problems of the orders of one batch, and logs them. A batch may have thousands of problems, mostly of the
 * same kind, such as a full backlog. All problems of one kind in a batch therefore have one id and one log line. An
 * unexpected error always has its own.
 */
export function createLineProblems(request: FastifyRequest): (thrown: unknown, index: number) => Problem {
  const ids = new Map<ProblemName, string>()
  return (thrown, index) => {
    let isNew = false
    const idOf = (name: ProblemName) => {
      const known = ids.get(name)
      if (known !== undefined) return known
      const id = randomUUID()
      isNew = true
      if (name !== 'internal') ids.set(name, id)
      return id
    }
    const { error, problem, retryAfter } = explain(thrown, request, idOf)
    if (isNew) {
      const facts = { error_id: problem.error_id, index, type: problem.type, status: problem.status }
      if (problem.status >= 500) request.log.error({ ...facts, err: error }, 'orders of a batch refused')
      else request.log.info(facts, 'orders of a batch refused')
    }
    return retryAfter === undefined ? problem : { ...problem, retry_after: retryAfter }
  }
}
