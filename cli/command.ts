import type { AdminClient } from './client.ts'

/** The command line is incomplete or wrong. The message names the fault. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** The command line, parsed. */
export interface Arguments {
  function: string
  ids: string[]
  after: string
  limit: string
  rate?: string
  reason?: string
  from?: string
  name?: string
  scopes?: string
  expires?: string
  keep?: string
  all: boolean
}

/** The result as text and as data. `failed`: the command changed nothing. */
export interface Outcome {
  text: string
  data: unknown
  failed?: boolean
}

/** One command: calls the api and returns the result. */
export type Command = (client: AdminClient, args: Arguments) => Promise<Outcome>

/** Returns the only name; throws `otherwise` when there are none or several. */
export function onlyName(names: string[], otherwise: string): string {
  const [name] = names
  if (name === undefined || names.length > 1) throw new UsageError(otherwise)
  return name
}

/** Rejects names for a command that takes none, such as the function in `dead-letters list NAME`. */
export function rejectNames(names: string[]): void {
  if (names.length > 0)
    throw new UsageError(
      `${names.join(' ')} is not an argument of this command: --function names a function.`
    )
}

/** Aligns rows in columns. */
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
