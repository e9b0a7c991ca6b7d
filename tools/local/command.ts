import { relative } from 'node:path'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { onStopSignals } from '../../src/boot/stop-signals.ts'

/** Explanations of file system errors, by their code. */
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

/** Returns a sentence that explains a failed file system call and ends with `cure`; undefined for any other error. */
export function explainFileFault(error: unknown, cure: string): string | undefined {
  const { code = '', path, syscall } = error as NodeJS.ErrnoException
  const fault = FILE_FAULTS[code]
  return fault && syscall && path ? `Cannot write to ${path}: ${fault} (${code}). ${cure}` : undefined
}

/** Quotes a word for a shell. */
export function quoted(word: string): string {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Returns a path for display. It is relative if it is below the current directory, such as `.local/api.log`. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short || '.'
}

/** An error that ends a command. The command prints only its message, without a stack. */
export class CommandError extends Error {}

/**
 * Returns an abort signal. The first stop signal of this process aborts it, with a `CommandError` as the reason. A
 * second Ctrl-C calls `endNow`. Without `endNow`, a second Ctrl-C does not shorten the clean-up.
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
 * Parses the options of a command line.
 * @throws {CommandError} with the help when an option is unknown.
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
    // npm reads the options before the two dashes itself, and passes only their values.
    const advice =
      code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL'
        ? '\nnpm takes options for itself unless two dashes stand before them, as in: npm start -- --help'
        : ''
    throw new CommandError(`${message}${advice}\n\n${help}`)
  }
}

/**
 * Parses a list of names like `a,b`. Returns the names in the order of `known`.
 * @throws {CommandError} when a name is not in `known`.
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
  /** Returns undefined when the command line asks for help. */
  readOptions: (args: string[]) => Options | undefined
  /** Resolves to the exit code. */
  run: (options: Options, signal: AbortSignal) => Promise<number>
}

/** Runs a command with the arguments of this process. Resolves to its exit code, or to 130 after a signal. */
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
