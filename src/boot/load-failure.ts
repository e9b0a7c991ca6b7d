import { relative } from 'node:path'

/** What to write in place of TypeScript that cannot be removed, by the word that Node.js has for it. */
const INSTEAD: [word: string, advice: string][] = [
  ['enum', "write `const Status = { Paid: 'paid' } as const` in place of the enum"],
  ['parameter property', 'declare a field and set it in the constructor in place of the parameter property'],
  ['namespace', 'export from a file of its own in place of the namespace'],
  ['', 'write what can be removed; `tsc` names each such place']
]

/** A file of the disk in a stack; what Node.js consists of is named `node:…`. */
const PLACE = /(?<=^|[\s(]|file:\/\/)(\/[^\s()]+?):(\d+)(?::\d+)?/gm

/** Why a file cannot be loaded, in one sentence with the place and, where it is known, the cure. */
export function describeLoadFailure(file: string, error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  const text = textOf(error)
  const own = nameOf(file)
  const found = placeOf(error)
  const place =
    found === undefined || found.startsWith(`${own}:`) ? (found ?? own) : `${found}, which ${own} imports`
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const advice = INSTEAD.find(([word]) => text.includes(word))?.[1]
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

/** What an error says, with its cause: that of a failed `fetch` is there alone. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}

/** Where an error arose in code of this project, as `file:line`; undefined when its stack does not say. */
export function placeOf(error: unknown, dir = ''): string | undefined {
  if (!(error instanceof Error)) return undefined
  // The message may name files as well, and they are not where it arose.
  const stack = (error.stack ?? '').replace(error.message, '')
  for (const [, file = '', line] of stack.matchAll(PLACE)) {
    const path = decodeURI(file)
    if (!path.includes('/node_modules/') && path.startsWith(dir)) return `${nameOf(path)}:${line}`
  }
  return undefined
}

/** A file as people name it: from the working directory on where it is in that. */
export function nameOf(path: string): string {
  const own = relative('', path)
  return own.startsWith('..') ? path : own
}
