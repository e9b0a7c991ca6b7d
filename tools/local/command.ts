import { type ParseArgsConfig, parseArgs } from 'node:util'
import { onStopSignals } from '../../src/boot/stop-signals.ts'

/** Faults of a file system that are not ours, by the code of the error. */
const FILE_FAULTS: Record<string, string> = {
  EACCES: 'this user may not write there',
  EPERM: 'the system forbids to write there',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file',
  ENOENT: 'no folder can be made there',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up'
}

/** A sentence on a call of the file system that failed; undefined of any other error. `cure` is what to do. */
export function explainFileFault(error: unknown, cure: string): string | undefined {
  const { code = '', path, syscall } = error as NodeJS.ErrnoException
  const fault = FILE_FAULTS[code]
  return fault && syscall && path ? `Cannot write to ${path}: ${fault} (${code}). ${cure}` : undefined
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

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
    const { code, message } = error as NodeJS.ErrnoException
    // npm takes an option that stands before them for its own, and passes on what follows it.
    const advice =
      code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'
        ? '\nnpm takes options for itself unless two dashes stand before them, as in: npm start -- --help'
        : ''
    throw new CommandError(`${message}${advice}\n\n${help}`)
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
