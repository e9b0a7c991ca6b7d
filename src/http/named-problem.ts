import { PROBLEMS, type ProblemName } from '../../schema/http/problem-types.ts'

/** An HTTP error with the name of the problem that it becomes. */
type Named = Error & { problem?: ProblemName }

/** Sets the name of the problem that an HTTP error becomes. Without a name, the status decides. */
export function asProblem<E extends Error>(name: ProblemName, error: E): E {
  return Object.assign(error, { problem: name })
}

/** Returns the name of the problem that `asProblem` has set. */
export function problemOf(error: Error): ProblemName | undefined {
  const { problem } = error as Named
  return problem !== undefined && Object.hasOwn(PROBLEMS, problem) ? problem : undefined
}
