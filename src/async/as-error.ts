import { inspect } from 'node:util'

/** What was thrown, as an error: JavaScript lets anything be thrown, and a promise be rejected with nothing at all. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  const message = typeof thrown === 'string' ? thrown : (thrown as Partial<Error> | null | undefined)?.message
  return new Error(typeof message === 'string' ? message : inspect(thrown, { depth: 1 }), { cause: thrown })
}
