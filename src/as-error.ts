import { inspect } from 'node:util'

/** What was thrown, as an error: JavaScript lets anything be thrown, and a promise be rejected with nothing at all. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  const text = typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 1, breakLength: Infinity })
  return new Error(text, { cause: thrown })
}
