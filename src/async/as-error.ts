import { inspect } from 'node:util'

/** Returns what was thrown as an Error. JavaScript code may throw anything, and a promise may reject with nothing. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  const message = typeof thrown === 'string' ? thrown : (thrown as Partial<Error> | null | undefined)?.message
  return new Error(typeof message === 'string' ? message : inspect(thrown, { depth: 1 }), { cause: thrown })
}
