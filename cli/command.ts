import type { AdminClient } from './client.ts'

/** The command line is incomplete or wrong. The message names the fault. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The parsed command line. */
export interface Arguments {
  function: string
  ids: string[]
  after: string
  limit: string
  rate?: string
  reason?: string
  from?: string
  name?: string
  tenant?: string
  scopes?: string
  expires?: string
  keep?: string
  all: boolean
}

/** The result as text and as data. `failed` is true if the command changed nothing. */
export interface Outcome {
  text: string
  data: unknown
  failed?: boolean
}

/** One command: calls the api and returns the result. */
export type Command = (client: AdminClient, args: Arguments) => Promise<Outcome>

/** Returns the only name. Throws a `UsageError` with the text `otherwise` if there is no name or more than one. */
export function onlyName(names: string[], otherwise: string): string {
  const [name] = names
  if (name === undefined || names.length > 1) throw new UsageError(otherwise)
  return name
}

/** Rejects names for a command that does not take names, such as NAME in `dead-letters list NAME`. */
export function rejectNames(names: string[]): void {
  if (names.length > 0)
    throw new UsageError(
      `${names.join(' ')} is not an argument of this command: --function names a function.`
    )
}

/** Renders rows as text with aligned columns. */
export function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map(cells => cells[column]?.length ?? 0))
  )
  return rows
    .map(cells =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}
