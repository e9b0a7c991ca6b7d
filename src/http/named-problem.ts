import { PROBLEMS, type ProblemName } from '../../schema/http/problem-types.ts'

/** An HTTP error that knows which kind of problem it becomes. */
type Named = Error & { problem?: ProblemName }

/** Names the kind of problem that an HTTP error becomes. Without a name its status decides. */
export function asProblem<E extends Error>(name: ProblemName, error: E): E {
  return Object.assign(error, { problem: name })
}

/** Returns the kind of problem that `asProblem` has named. */
export function problemOf(error: Error): ProblemName | undefined {
  const { problem } = error as Named
  return problem !== undefined && Object.hasOwn(PROBLEMS, problem) ? problem : undefined
}
