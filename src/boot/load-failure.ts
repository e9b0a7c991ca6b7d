import { relative } from 'node:path'

/** The replacements for syntax of TypeScript that Node.js cannot remove. The keys are the words in its error. */
const REPLACEMENTS: [word: string, advice: string][] = [
  ['enum', "write `const Status = { Paid: 'paid' } as const` in place of the enum"],
  ['parameter property', 'declare a field and set it in the constructor in place of the parameter property'],
  ['namespace', 'export from a file of its own in place of the namespace'],
  ['', 'write what can be removed; `tsc` names each such place']
]

/** Matches a file on disk in a stack trace. The parts of Node.js are named `node:…`. */
const PLACE = /(?<=^|[\s(]|file:\/\/)(\/[^\s()]+?):(\d+)(?::\d+)?/gm

/** Explains why a file cannot be loaded, in one sentence with the place and, if it is known, the remedy. */
export function describeLoadFailure(file: string, error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  const text = textOf(error)
  const own = nameOf(file)
  const found = placeOf(error)
  const place =
    found === undefined || found.startsWith(`${own}:`) ? (found ?? own) : `${found}, which ${own} imports`
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const advice = REPLACEMENTS.find(([word]) => text.includes(word))?.[1]
    return `${place}: ${text}. Node.js runs TypeScript by removing its types: ${advice}.`
  }
  if (code === 'ERR_MODULE_NOT_FOUND')
    return `${own}: ${text}. The import of a file ends with its extension (.ts); a package has to be installed.`
  if (text.includes('does not provide an export named'))
    return `${place}: ${text}. Import a type with \`import type\`.`
  if (found === undefined && error instanceof SyntaxError)
    return `${own}, or a file that it imports, has a syntax error: ${text}.`
  if (error instanceof SyntaxError) return `${place} has a syntax error: ${text}.`
  return `${place} fails while it is loaded: ${text}`
}

/** Returns the message of an error and of its cause, because a failed `fetch` has its reason only in the cause. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}

/**
 * Returns the place below `dir` at which an error occurred, as `file:line`. Ignores packages. Returns undefined if the
 * stack does not contain such a place.
 */
export function placeOf(error: unknown, dir = ''): string | undefined {
  if (!(error instanceof Error)) return undefined
  // The message may name other files.
  const stack = (error.stack ?? '').replace(error.message, '')
  for (const [, file = '', line] of stack.matchAll(PLACE)) {
    const path = decodeURI(file)
    if (!path.includes('/node_modules/') && path.startsWith(dir)) return `${nameOf(path)}:${line}`
  }
  return undefined
}

/** Returns the path of a file for people: relative to the working directory if the file is in it. */
export function nameOf(path: string): string {
  const own = relative('', path)
  return own.startsWith('..') ? path : own
}
