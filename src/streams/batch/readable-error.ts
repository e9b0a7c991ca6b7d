import { asError } from '../../async/as-error.ts'
import { TerminalError } from '../function.ts'

/**
 * Converts a value that an author's code threw to an error that can be read and logged. Replaces an error whose name or
 * message is not text, or that has a getter that throws. A `TerminalError` remains a `TerminalError`.
 */
export function readableError(thrown: unknown): Error {
  if (isReadable(thrown)) return thrown
  const text = textOf(thrown)
  return thrown instanceof TerminalError ? new TerminalError(codeOf(thrown), text) : new Error(text)
}

function isReadable(error: unknown, seen = new Set<unknown>()): error is Error {
  try {
    if (!(error instanceof Error) || typeof error.name !== 'string' || typeof error.message !== 'string')
      return false
    seen.add(error)
    // The log reads the stack, every property and the causes.
    void error.stack
    for (const name in error) void error[name as keyof Error]
    const { cause } = error
    return !(cause instanceof Error) || seen.has(cause) || isReadable(cause, seen)
  } catch {
    return false
  }
}

function textOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return asError(thrown).message
    return typeof thrown.message === 'string' ? thrown.message : asError(thrown.message).message
  } catch {
    return 'an error that cannot be read'
  }
}

function codeOf(error: TerminalError): string {
  try {
    return error.code
  } catch {
    return ''
  }
}
