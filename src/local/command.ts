import { type ParseArgsConfig, parseArgs } from 'node:util'
import { onStopSignals } from '../stop-signals.ts'

/** What ends a command with one sentence, where a stack would say nothing more. */
export class CommandError extends Error {}

/**
 * Aborted by the first signal that asks this process to stop, with a `CommandError` as reason. `endNow` is called at a
 * second Ctrl-C; without it, nothing cuts the cleaning up short.
 */
export function interruption(endNow?: () => void): AbortSignal {
  const interrupted = new AbortController()
  onStopSignals({
    begin: signal => {
      console.log(
        endNow && signal === 'SIGINT' ? '\nStopping … (Ctrl-C again ends it at once)' : '\nStopping …'
      )
      interrupted.abort(new CommandError(`${signal} received`))
    },
    endNow: () => endNow?.()
  })
  return interrupted.signal
}

/**
 * The options of a command line.
 * @throws {CommandError} with the help when it has others.
 */
export function readArguments<const T extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: T,
  help: string
) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new CommandError(`${(error as Error).message}\n\n${help}`)
  }
}

/**
 * The names in a list like `a,b`, in the order in which they are known.
 * @throws {CommandError} when one of them is not.
 */
export function readNames<Name extends string>(option: string, text: string, known: readonly Name[]): Name[] {
  const names = text.split(',').filter(Boolean)
  const unknown = names.filter(name => !known.some(each => each === name))
  if (unknown.length > 0)
    throw new CommandError(`--${option} has ${unknown.join(', ')}: there are ${known.join(', ')}.`)
  return known.filter(each => names.includes(each))
}

/** A command for the terminal. */
export interface Command<Options> {
  help: string
  /** Undefined when only help is asked for. */
  readOptions: (args: string[]) => Options | undefined
  /** Resolves to the exit code. */
  run: (options: Options, signal: AbortSignal) => Promise<number>
}

/** Runs a command with this process's arguments; resolves to its exit code, 130 when a signal cut it short. */
export async function runCommand<Options>({ help, readOptions, run }: Command<Options>): Promise<number> {
  const signal = interruption()
  try {
    const options = readOptions(process.argv.slice(2))
    if (options) return await run(options, signal)
    console.log(help)
    return 0
  } catch (error) {
    if (signal.aborted) return 130
    console.error(error instanceof CommandError ? error.message : error)
    return 1
  }
}
